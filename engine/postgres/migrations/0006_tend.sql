-- tend deletes some of what has ended. It returns whether there may be more, and
-- does nothing where another node does it, or has done it a moment ago.
CREATE FUNCTION {schema}.tend() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT int := 2000;
    more boolean := false;
    n int;
    now_at timestamptz := clock_timestamp();
    t record;
    upto bigint;
    dead bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('{schema}.tend', 0)) THEN
        RETURN false;
    END IF;
    INSERT INTO {schema}.tending (at, id) VALUES ('epoch', 0) ON CONFLICT DO NOTHING;
    SELECT at, id INTO t FROM {schema}.tending;
    IF t.at > now_at - interval '10 seconds' THEN
        RETURN false;
    END IF;

    DELETE FROM {schema}.ids WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.ids WHERE at < now_at - interval '130 seconds' LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    more := more OR n = most;
    DELETE FROM {schema}.payloads WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.payloads WHERE at < now_at - interval '5 minutes' LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    more := more OR n = most;
    DELETE FROM {schema}.latest WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.latest WHERE at < now_at - interval '24 hours' LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    more := more OR n = most;
    DELETE FROM {schema}.events_long WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.events_long WHERE ends < now_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    more := more OR n = most;
    DELETE FROM {schema}.kept WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.kept WHERE ends < now_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    more := more OR n = most;
    DELETE FROM {schema}.entries WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.entries WHERE ends < now_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS n = ROW_COUNT;
    more := more OR n = most;

    WITH over AS (
        DELETE FROM {schema}.owners WHERE owner = ANY (ARRAY(SELECT owner FROM {schema}.owners WHERE ends < now_at - interval '1 minute' LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING lease
    ) INSERT INTO {schema}.graves SELECT lease FROM over ON CONFLICT DO NOTHING;
    SELECT min(lease) INTO dead FROM {schema}.graves;
    IF dead IS NOT NULL THEN
        DELETE FROM {schema}.entries WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.entries WHERE lease = dead LIMIT most FOR UPDATE));
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n < most THEN
            DELETE FROM {schema}.graves WHERE lease = dead;
        END IF;
        more := true;
    END IF;

    SELECT max(id) INTO upto FROM (SELECT id FROM {schema}.topics WHERE id > t.id ORDER BY id LIMIT most) span;
    DELETE FROM {schema}.topics WHERE id = ANY (ARRAY(
        SELECT id FROM {schema}.topics WHERE id > t.id AND id <= upto AND keep < now_at FOR UPDATE SKIP LOCKED));
    UPDATE {schema}.tending SET id = coalesce(upto, 0), at = CASE WHEN more THEN at ELSE now_at END;
    RETURN more;
END
$$;
