-- Records of connections. ends changes seldom, and is the only column with an index
-- that does: rows are updated in place, then.
CREATE TABLE {schema}.records (
    id      bytea PRIMARY KEY,
    version bigint NOT NULL,
    ends    timestamptz NOT NULL,
    data    bytea NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX ON {schema}.records (ends);

-- Members of groups of connections.
CREATE TABLE {schema}.members (
    grp    bytea NOT NULL,
    member bytea NOT NULL,
    ends   timestamptz NOT NULL,
    PRIMARY KEY (grp, member)
);
CREATE INDEX ON {schema}.members (ends);

-- until is when something ends that is to last ms from now at the least, and later
-- is when it may: ends stays as long as it is between.
CREATE FUNCTION {schema}.span(ms bigint, OUT until timestamptz, OUT later timestamptz) LANGUAGE sql AS $$
    SELECT n + ms * interval '1 millisecond', n + (ms + least(ms / 8, 600000)) * interval '1 millisecond'
    FROM clock_timestamp() n
$$;

-- save keeps data for an id in the place of what has the version former (0: where
-- there is nothing), and tells whether it has, maybe in an earlier run.
CREATE FUNCTION {schema}.save(i bytea, former bigint, fresh bigint, d bytea, ms bigint) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    s record;
BEGIN
    SELECT * INTO s FROM {schema}.span(ms);
    IF former = 0 THEN
        INSERT INTO {schema}.records AS r (id, version, ends, data) VALUES (i, fresh, s.later, d)
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, ends = excluded.ends, data = excluded.data
            WHERE r.ends <= clock_timestamp();
    ELSE
        UPDATE {schema}.records r SET version = fresh, data = d, ends = CASE WHEN r.ends BETWEEN s.until AND s.later THEN r.ends ELSE s.later END
            WHERE r.id = i AND r.version = former AND r.ends > clock_timestamp();
    END IF;
    RETURN FOUND OR EXISTS (SELECT FROM {schema}.records r WHERE r.id = i AND r.version = fresh);
END
$$;

-- load returns the records of ids that have one.
CREATE FUNCTION {schema}.load(ids bytea[]) RETURNS TABLE (n bigint, version bigint, data bytea)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT a.n, r.version, r.data FROM unnest(ids) WITH ORDINALITY a(id, n)
    JOIN {schema}.records r ON r.id = a.id WHERE r.ends > clock_timestamp()
$$;

-- remove deletes a record and returns what it was.
CREATE FUNCTION {schema}.remove(i bytea) RETURNS TABLE (version bigint, data bytea) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH gone AS (DELETE FROM {schema}.records r WHERE r.id = i RETURNING r.version, r.ends, r.data)
        SELECT g.version, g.data FROM gone g WHERE g.ends > clock_timestamp();
END
$$;

-- join_group puts a member into a group until ms from now, at the least.
CREATE FUNCTION {schema}.join_group(g bytea, who bytea, ms bigint) RETURNS void LANGUAGE sql SET enable_seqscan = off AS $$
    INSERT INTO {schema}.members AS m (grp, member, ends) SELECT g, who, s.later FROM {schema}.span(ms) s
    ON CONFLICT (grp, member) DO UPDATE SET ends = excluded.ends
        WHERE m.ends < clock_timestamp() + ms * interval '1 millisecond'
$$;

CREATE FUNCTION {schema}.leave_group(g bytea, who bytea) RETURNS void LANGUAGE sql SET enable_seqscan = off AS $$
    DELETE FROM {schema}.members m WHERE m.grp = g AND m.member = who
$$;

-- members returns some of a group, those that follow another.
CREATE FUNCTION {schema}.members(g bytea, after bytea, most int) RETURNS SETOF bytea
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT m.member FROM {schema}.members m
    WHERE m.grp = g AND m.member > after AND m.ends > clock_timestamp() ORDER BY m.member LIMIT most
$$;

-- tend_store deletes some records and members that have ended, and tells whether
-- there may be more.
CREATE FUNCTION {schema}.tend_store() RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    most CONSTANT int := 2000;
    now_at timestamptz := clock_timestamp();
    r int;
    m int;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('{schema}.tend_store', 0)) THEN
        RETURN false;
    END IF;
    DELETE FROM {schema}.records WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.records WHERE ends < now_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS r = ROW_COUNT;
    DELETE FROM {schema}.members WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.members WHERE ends < now_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS m = ROW_COUNT;
    RETURN r = most OR m = most;
END
$$;
