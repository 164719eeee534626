-- token returns eight random letters and digits.
CREATE FUNCTION {schema}.token() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT left(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/=', 'xyz'), 8)
$$;

-- flushed returns how far the server's log is on its disk.
CREATE FUNCTION {schema}.flushed() RETURNS pg_lsn LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN pg_current_wal_flush_lsn();
EXCEPTION WHEN feature_not_supported OR undefined_function OR insufficient_privilege THEN
    RETURN NULL; -- a service that does not tell
END
$$;

-- history returns what is another where other data has taken the place of this:
-- the server, its timeline, which ends when a standby takes over or a backup is
-- restored, and the table.
CREATE FUNCTION {schema}.history() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    made text := '{schema}.topics'::regclass::oid::text;
BEGIN
    RETURN concat_ws(':', (SELECT system_identifier FROM pg_control_system()),
        left(pg_walfile_name(pg_current_wal_lsn()), 8), made);
EXCEPTION WHEN feature_not_supported OR undefined_function OR insufficient_privilege THEN
    RETURN made; -- a service that does not tell
END
$$;

-- enter is called with each new connection and each probe. It begins other epochs
-- where data is not what it was: the history is another one, or the log is shorter
-- than somebody has seen it.
CREATE FUNCTION {schema}.enter(seen pg_lsn) RETURNS pg_lsn LANGUAGE plpgsql AS $$
DECLARE
    g record;
    here text := {schema}.history();
    now_at pg_lsn := {schema}.flushed();
BEGIN
    SELECT * INTO g FROM {schema}.ground;
    IF NOT FOUND THEN
        INSERT INTO {schema}.ground (generation, history) VALUES ({schema}.token(), here) ON CONFLICT DO NOTHING;
    ELSIF g.history <> here OR now_at < seen THEN
        UPDATE {schema}.ground SET generation = {schema}.token(), history = here WHERE generation = g.generation;
    END IF;
    IF to_regclass('{schema}.' || {schema}.partition_of({schema}.day(clock_timestamp()) + 8)) IS NULL THEN
        PERFORM {schema}.partitions();
    END IF;
    RETURN now_at;
END
$$;

CREATE FUNCTION {schema}.day(t timestamptz) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT floor(extract(epoch FROM t) / 86400)::int
$$;

CREATE FUNCTION {schema}.partition_of(d int) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'events_' || to_char(timestamp 'epoch' + d * interval '1 day', 'YYYYMMDD')
$$;

-- partitions makes those that events will need in the next days, and drops those
-- whose events have all ended. Who may not change tables may call it.
CREATE FUNCTION {schema}.partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today int := {schema}.day(clock_timestamp());
    part text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('{schema}.partitions', 0));
    PERFORM set_config('lock_timeout', '1s', true);
    FOR d IN today .. today + 9 LOOP
        part := {schema}.partition_of(d);
        IF to_regclass('{schema}.' || part) IS NULL THEN
            -- To attach a table does not wait for who reads and writes others.
            EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.events INCLUDING ALL)', part);
            EXECUTE format('ALTER TABLE {schema}.events ATTACH PARTITION {schema}.%I FOR VALUES FROM (%s) TO (%s)', part, d, d + 1);
        END IF;
    END LOOP;
    -- To drop one does, and others wait behind: not for long.
    PERFORM set_config('lock_timeout', '50ms', true);
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = '{schema}.events'::regclass
            AND c.relname ~ '^events_[0-9]{8}$' AND c.relname < {schema}.partition_of(today)
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE {schema}.%I', part);
        EXCEPTION WHEN lock_not_available THEN
            RETURN; -- another time
        END;
    END LOOP;
END
$$;

SELECT {schema}.partitions();
