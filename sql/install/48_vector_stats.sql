-- What filters ask for, as counted in shared memory.

CREATE VIEW lake.vector_filter_keys AS
SELECT u.store, u.key, u.usage, u.uses, u.since, u.last_used, u.served
FROM _lake.vector_filter_use() u;

COMMENT ON VIEW lake.vector_filter_keys IS 'How often filters have asked for each metadata key of the stores that you own, since the server started (or the key first came): usage equal (also $in, $contains), number and text (comparisons), exists; served: an index serves that. Empty unless lake_stores is preloaded';
COMMENT ON FUNCTION _lake.vector_filter_use() IS 'what lake.vector_filter_keys shows';
