-- lake: everything public. _lake: catalogue and helpers.
CREATE SCHEMA lake;
CREATE SCHEMA _lake;
