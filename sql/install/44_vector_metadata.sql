COMMENT ON FUNCTION lake.vector_index_metadata(regclass, text, text) IS
    'Makes an index for $gt, $gte, $lt, $lte on a key of the metadata, or finds the one that there is. type: auto (as the values are), number, text';
