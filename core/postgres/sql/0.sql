-- Version 0: nothing but where versions are counted.
CREATE SCHEMA larder;
CREATE TABLE larder.schema_version(version bigint NOT NULL);
INSERT INTO larder.schema_version VALUES (0);

