-- Settings of the schema (the signing key of positions). Safe beside any older code: it only adds.
CREATE TABLE :schema.settings (
  name text PRIMARY KEY,
  value text NOT NULL
);
