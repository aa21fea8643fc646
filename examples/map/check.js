// Opens the map in a headless Chromium, says how many places of each store it draws, clicks on one, and writes a picture:
// node check.js ADDRESS PICTURE. CHROMIUM is the browser, if it isn't /usr/bin/chromium.
const puppeteer = require('puppeteer-core');

async function main(address, picture) {
  const faults = [];
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-dev-shm-usage'],
  });
  try {
    const page = await browser.newPage();
    page.on('console', (message) => console.error(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('response', (response) => response.status() >= 400 && !response.url().endsWith('/favicon.ico') && faults.push(`${response.status()} ${response.url()}`));
    await page.setViewport({ width: 1200, height: 700 });
    await page.goto(`${address}/#3/50/10`);
    const drawn = await (await page.waitForFunction(() => document.body.dataset.drawn, { timeout: 30000 })).jsonValue();
    await page.screenshot({ path: picture });
    await page.mouse.click(600, 350);
    await page.waitForSelector('.maplibregl-popup td');
    const keys = await page.$$eval('.maplibregl-popup td:first-child', (cells) => cells.map((cell) => cell.textContent));
    console.log(JSON.stringify({ drawn: JSON.parse(drawn), clicked: keys.length > 0 }));
  } finally {
    await browser.close();
    faults.forEach((fault) => console.error(fault));
    if (faults.length) process.exitCode = 1;
  }
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
