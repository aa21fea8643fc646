# Turns a page into a script for psql: SQL blocks stay where they are, every other line becomes empty. After a
# block that has to fail, the script ends if its last statement didn't.

# The check stands on the line after the block: psql looks at ON_ERROR_STOP only as it begins a line.
function check(text) {
    if (!ended) return ""
    text = "\\if :ERROR \\else \\warn '" FILENAME ":" start ": this block should have failed' \\i scripts/lib/should_fail.sql \\endif "
    ended = 0
    return text
}
/^```sql error *$/ { print check() "\\set ON_ERROR_STOP off"; state = "error"; start = NR; next }
/^```sql *$/ { print check(); state = "sql"; next }
/^```/ && state == "error" { print "\\set ON_ERROR_STOP on"; state = ""; ended = 1; next }
/^```/ { print check(); state = ""; next }
{ print state == "" ? check() : $0 }
END { if (ended) print check() }
