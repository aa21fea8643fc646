DO $$ BEGIN RAISE 'should have failed'; END $$;
