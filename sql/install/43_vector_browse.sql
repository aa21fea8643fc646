COMMENT ON FUNCTION lake.vector_scroll(regclass, text, integer, jsonb, boolean) IS
    'Rows in the order of their ids, those after the given id: pass the last id of a page to get the next one';
COMMENT ON FUNCTION lake.vector_facet(regclass, text, jsonb, integer) IS
    'The values of a key of the metadata and how many rows have each, most frequent first; elements of arrays count as values';
