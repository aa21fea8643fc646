# Turns a page into a script for psql: SQL blocks stay where they are, every other line becomes empty. After a
# block that has to fail, the script ends if its last statement didn't.
/^```sql error *$/ { state = "error"; start = NR; print "\\set ON_ERROR_STOP off"; next }
/^```sql *$/ { state = "sql"; print ""; next }
/^```/ && state == "error" {
    state = ""
    where = FILENAME ":" start
    print "\\set ON_ERROR_STOP on \\if :ERROR \\else \\warn '" where ": this block should have failed' \\i scripts/lib/should_fail.sql \\endif"
    next
}
/^```/ { state = ""; print ""; next }
{ print state == "" ? "" : $0 }
