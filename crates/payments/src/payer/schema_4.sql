-- Whose call a signature pays for, where one payer pays for several callers.
ALTER TABLE spendings ADD COLUMN caller TEXT;

CREATE INDEX spendings_by_caller ON spendings (caller, day) WHERE caller IS NOT NULL;
