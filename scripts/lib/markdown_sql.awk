# Turns a page into a script for psql: SQL blocks stay where they are, every other line becomes empty. After a
# block that has to fail, a check raises if its last statement didn't.
/^```sql error *$/ { state = "error"; print "\\set ON_ERROR_STOP off"; next }
/^```sql *$/ { state = "sql"; print ""; next }
/^```/ && state == "error" {
    state = ""
    print "\\set ON_ERROR_STOP on \\if :ERROR \\else DO $$ BEGIN RAISE 'the block that ends here should have failed'; END $$; \\endif"
    next
}
/^```/ { state = ""; print ""; next }
{ print state == "" ? "" : $0 }
