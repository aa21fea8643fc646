"""Recall against latency as a plain SVG: lines over a logarithmic axis of milliseconds."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 60, 20, 40, 50
COLOURS = ["#888888", "#1f6fb4", "#c8a04a", "#b5412c"]


def recall_plot(title: str, lines: dict[str, list[tuple[float, float, str]]]) -> str:
    """`lines`: name to points (milliseconds, recall, label)."""
    points = [point for line in lines.values() for point in line]
    low = math.log10(min(p[0] for p in points) / 1.2)
    high = math.log10(max(p[0] for p in points) * 1.2)
    floor = min(0.9, math.floor(min(p[1] for p in points) * 20) / 20)

    def x(ms: float) -> float:
        return LEFT + (math.log10(ms) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(recall: float) -> float:
        return HEIGHT - BOTTOM - (recall - floor) / (1 - floor) * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{title}</text>',
    ]
    for step in range(11):
        recall = floor + (1 - floor) * step / 10
        if step % 2 == 0:
            out.append(f'<text x="{LEFT - 8}" y="{y(recall) + 4:.1f}" text-anchor="end">{recall:.2f}</text>')
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(recall):.1f}" y2="{y(recall):.1f}" stroke="#e4e4e4"/>')
    for ms in (m * 10**e for e in range(-2, 4) for m in (1, 2, 5)):
        if 10**low <= ms <= 10**high:
            out.append(f'<line x1="{x(ms):.1f}" x2="{x(ms):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>')
            out.append(f'<text x="{x(ms):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{ms:g}</text>')
    out.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">milliseconds of CPU, median</text>')
    out.append(f'<text x="14" y="{TOP - 8}">recall@10</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x(ms):.1f},{y(recall):.1f}" for ms, recall, _ in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for ms, recall, label in line:
            out.append(f'<circle cx="{x(ms):.1f}" cy="{y(recall):.1f}" r="3" fill="{colour}"><title>{name}, {label}</title></circle>')
        at = HEIGHT - BOTTOM - 14 - 18 * (len(lines) - 1 - number)
        out.append(f'<rect x="{WIDTH - 250}" y="{at - 9}" width="10" height="10" fill="{colour}"/>')
        out.append(f'<text x="{WIDTH - 234}" y="{at}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])
