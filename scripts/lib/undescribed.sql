-- Public objects of the extension that lack a comment.
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0)
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'lake_stores'
LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid
LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objid
LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass
  AND d.deptype = 'e'
  AND coalesce(p.pronamespace, c.relnamespace, t.typnamespace) = 'lake'::regnamespace
  -- A view's row type and an array's type speak for their owner.
  AND (t.oid IS NULL OR (t.typrelid = 0 AND t.typelem = 0))
  AND pg_catalog.obj_description(d.objid, d.classid::regclass::name) IS NULL
ORDER BY 1;
