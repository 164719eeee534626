-- make sees to it that topics have rows, and that these stay. It waits for nobody
-- who publishes.
CREATE FUNCTION {schema}.make(names bytea[]) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM {schema}.ground g WHERE g.one) THEN
        PERFORM {schema}.enter(NULL);
    END IF;
    INSERT INTO {schema}.topics (name, epoch, keep)
        SELECT n.name, {schema}.token(), clock_timestamp() + interval '25 hours'
        FROM (SELECT DISTINCT u.name FROM unnest(names) u(name) ORDER BY u.name) n
        ON CONFLICT (name) DO NOTHING;
    UPDATE {schema}.topics SET keep = clock_timestamp() + interval '25 hours' WHERE id IN (
        SELECT t.id FROM {schema}.topics t
        WHERE t.name = ANY (names) AND t.keep < clock_timestamp() + interval '24 hours 30 minutes'
        ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED);
END
$$;

-- positions returns where those of the topics stand that have rows; old ones want
-- to be made again.
CREATE FUNCTION {schema}.positions(names bytea[]) RETURNS TABLE (n bigint, epoch text, seq bigint, old boolean)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT a.n, t.epoch || g.generation, t.seq, t.keep < now() + interval '24 hours 30 minutes'
    FROM unnest(names) WITH ORDINALITY a(name, n)
    JOIN {schema}.topics t ON t.name = a.name
    JOIN {schema}.ground g ON g.one
$$;

-- read returns where a topic stands (nothing if it has no row), then what is kept
-- of the events that followed a position, and at last a row with the number 0 if
-- there are others. Class is r or l.
CREATE FUNCTION {schema}.read(topic_name bytea, class text, since_epoch text, since bigint, most int, most_bytes bigint)
RETURNS TABLE (epoch text, seq bigint, at timestamptz, body bytea)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    t record;
    e record;
    kept refcursor;
    after bigint := since;
    bytes bigint := 0;
    count int := 0;
BEGIN
    SELECT s.id, s.epoch || g.generation AS epoch, s.seq, s.low INTO t
        FROM {schema}.topics s JOIN {schema}.ground g ON g.one WHERE s.name = topic_name;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT t.epoch, t.seq, NULL::timestamptz, NULL::bytea;
    IF since_epoch <> t.epoch OR since > t.seq THEN
        after := 0;
    END IF;
    after := greatest(after, t.low);
    IF class = 'r' THEN
        OPEN kept NO SCROLL FOR SELECT v.seq, v.at, v.body FROM {schema}.events v
            WHERE v.topic = t.id AND v.seq > after AND v.ends > now() ORDER BY v.seq LIMIT most + 1;
    ELSE
        OPEN kept NO SCROLL FOR SELECT l.seq, l.at, l.body FROM {schema}.latest l
            WHERE l.topic = t.id AND l.seq > after AND l.at > now() - interval '24 hours' ORDER BY l.seq LIMIT most + 1;
    END IF;
    LOOP
        FETCH kept INTO e;
        EXIT WHEN NOT FOUND;
        bytes := bytes + octet_length(e.body) + 32;
        IF count >= most OR count > 0 AND bytes > most_bytes THEN
            RETURN QUERY SELECT NULL::text, 0::bigint, NULL::timestamptz, NULL::bytea;
            EXIT;
        END IF;
        count := count + 1;
        RETURN QUERY SELECT NULL::text, e.seq, e.at, e.body;
    END LOOP;
    CLOSE kept;
END
$$;

-- fetch returns what did not fit into notifications: an event of a topic, or where
-- that is 0 a payload.
CREATE FUNCTION {schema}.fetch(topics bigint[], numbers bigint[]) RETURNS TABLE (n bigint, body bytea)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT r.n, CASE WHEN r.topic = 0
        THEN (SELECT p.body FROM {schema}.payloads p WHERE p.id = r.number)
        ELSE (SELECT v.body FROM {schema}.events v WHERE v.topic = r.topic AND v.seq = r.number)
    END
    FROM unnest(topics, numbers) WITH ORDINALITY r(topic, number, n)
$$;
