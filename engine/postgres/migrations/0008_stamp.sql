-- What an event has become is kept with its id: a publication whose answer was lost
-- is told from others with the same id by its mark.
ALTER TABLE {schema}.ids ADD COLUMN mark bigint, ADD COLUMN seq bigint;

-- publish_events keeps events of topics and notifies of them, topic after topic. It
-- returns for each topic in results: 0 that is done, 1 somebody else has it at
-- present, 2 it has no row. Where it is done there are its epoch, when that was (µs),
-- and the number of the event before the first; events that are not known are counted
-- from there. Where there are ids, known and known_at have for each event that is
-- known which number it had, and when, or 0 if it is of another publication.
--
-- Who publishes holds the row of the topic until the end of the transaction, so
-- that events are numbered, committed and sent in one order.
--
-- Of topics: names, classes (o, r, l), sizes, ttls (ms), channels, heads (what
-- notifications begin with), counts (of events), packs (of notifications). Of
-- events: ids (NULL: none has one), marks, keys, bodies (NULL if it is not needed). Of
-- notifications: fits (how many events), texts ('': one event, which does not fit).
--
-- waits: how many ms for a topic that somebody else has; 0 not at all, below that
-- as long as it takes.
CREATE FUNCTION {schema}.publish_events(
    names bytea[], classes text[], sizes int[], ttls bigint[], channels text[], heads text[], counts int[], packs int[],
    ids bytea[], marks bigint[], keys bytea[], bodies bytea[],
    fits int[], texts text[],
    waits int,
    OUT results int[], OUT epochs text[], OUT moments bigint[], OUT seqs bigint[], OUT known bigint[], OUT known_at bigint[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    t record;
    of_id record;
    lock_timeout_before text := current_setting('lock_timeout');
    generation_now text;
    moment timestamptz;
    expiry timestamptz;
    bucket int;
    floor_now bigint;
    live int[];       -- indices of events that are new
    added int;        -- their number
    next_seq bigint;  -- of the first event of the next notification
    others int[];     -- those of a notification that are not new, from 0
    micros bigint;    -- moment
    before_e int := 0; -- events of the topics before
    before_p int := 0; -- their notifications
    j int;            -- the event before the next notification's first
    what text;
    payload bigint;
BEGIN
    results := '{}';
    epochs := '{}';
    moments := '{}';
    seqs := '{}';
    IF ids IS NOT NULL THEN
        known := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
        known_at := known;
    END IF;
    -- What has been sent must not be lost.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    FOR k IN 1 .. cardinality(names) LOOP
        IF waits = 0 THEN
            SELECT s.id, s.epoch, s.seq, s.low INTO t FROM {schema}.topics s WHERE s.name = names[k] FOR NO KEY UPDATE SKIP LOCKED;
        ELSE
            -- Only this lock: to commit with notifications takes one, too.
            IF waits > 0 THEN
                PERFORM set_config('lock_timeout', waits::text, true);
            END IF;
            SELECT s.id, s.epoch, s.seq, s.low INTO t FROM {schema}.topics s WHERE s.name = names[k] FOR NO KEY UPDATE;
            IF waits > 0 THEN
                PERFORM set_config('lock_timeout', lock_timeout_before, true);
            END IF;
        END IF;
        IF NOT FOUND THEN
            PERFORM FROM {schema}.topics s WHERE s.name = names[k];
            results := results || CASE WHEN FOUND THEN 1 ELSE 2 END;
            epochs := epochs || ''::text;
            moments := moments || 0::bigint;
            seqs := seqs || 0::bigint;
            before_e := before_e + counts[k];
            before_p := before_p + packs[k];
            CONTINUE;
        END IF;
        -- After the lock: nobody has published to it since with a newer one.
        SELECT g.generation INTO generation_now FROM {schema}.ground g WHERE g.one;
        IF NOT FOUND THEN
            PERFORM {schema}.enter(NULL);
            SELECT g.generation INTO generation_now FROM {schema}.ground g WHERE g.one;
        END IF;
        moment := clock_timestamp();
        micros := (extract(epoch FROM moment) * 1000000)::bigint;
        expiry := moment;
        floor_now := t.low;

        IF ids IS NULL THEN
            live := ARRAY(SELECT generate_series(before_e + 1, before_e + counts[k]));
        ELSE
            live := '{}';
            FOR i IN before_e + 1 .. before_e + counts[k] LOOP
                IF ids[i] IS NOT NULL THEN
                    INSERT INTO {schema}.ids AS former (topic, id, at, mark, seq) VALUES (t.id, ids[i], moment, marks[i], t.seq + cardinality(live) + 1)
                        ON CONFLICT (topic, id) DO UPDATE SET at = excluded.at, mark = excluded.mark, seq = excluded.seq
                        WHERE former.at <= moment - interval '2 minutes';
                    IF NOT FOUND THEN
                        SELECT former.seq, (extract(epoch FROM former.at) * 1000000)::bigint AS at INTO of_id
                            FROM {schema}.ids former WHERE former.topic = t.id AND former.id = ids[i] AND former.mark = marks[i];
                        known[i] := coalesce(of_id.seq, 0);
                        known_at[i] := coalesce(of_id.at, 0);
                        CONTINUE;
                    END IF;
                END IF;
                live := live || i;
            END LOOP;
        END IF;
        added := cardinality(live);

        IF classes[k] = 'r' AND added > 0 THEN
            expiry := moment + ttls[k] * interval '1 millisecond';
            bucket := CASE WHEN expiry < moment + interval '8 days' THEN {schema}.day(expiry) ELSE 0 END;
            INSERT INTO {schema}.events (topic, seq, day, at, ends, body)
                SELECT t.id, t.seq + u.n, bucket, moment, expiry, bodies[u.i] FROM unnest(live) WITH ORDINALITY u(i, n);
            IF t.seq + added - t.low > sizes[k] + least(64 + sizes[k] / 4, 512) THEN
                floor_now := t.seq + added - sizes[k];
                DELETE FROM {schema}.events v WHERE v.topic = t.id AND v.seq > t.low AND v.seq <= floor_now;
            END IF;
        ELSIF classes[k] = 'l' AND added > 0 THEN
            INSERT INTO {schema}.latest (topic, key, seq, at, body)
                SELECT DISTINCT ON (keys[u.i]) t.id, keys[u.i], t.seq + u.n, moment, bodies[u.i]
                FROM unnest(live) WITH ORDINALITY u(i, n) ORDER BY keys[u.i], u.n DESC
                ON CONFLICT (topic, key) DO UPDATE SET seq = excluded.seq, at = excluded.at, body = excluded.body;
            IF (t.seq + added) / 64 > t.seq / 64 THEN -- now and then
                DELETE FROM {schema}.latest l WHERE l.topic = t.id AND l.seq <= (
                    SELECT m.seq FROM {schema}.latest m WHERE m.topic = t.id ORDER BY m.seq DESC OFFSET 1024 LIMIT 1);
            END IF;
        END IF;

        next_seq := t.seq + 1;
        j := before_e;
        FOR p IN before_p + 1 .. before_p + packs[k] LOOP
            others := '{}';
            IF added < counts[k] THEN
                others := ARRAY(SELECT i - 1 FROM generate_series(1, fits[p]) i WHERE j + i <> ALL (live));
            END IF;
            IF cardinality(others) < fits[p] THEN
                what := texts[p];
                IF what = '' AND classes[k] = 'r' THEN
                    what := '@' || t.id || ',' || octet_length(bodies[j + 1]);
                ELSIF what = '' THEN
                    INSERT INTO {schema}.payloads (body) VALUES (bodies[j + 1]) RETURNING id INTO payload;
                    what := '#' || payload || ',' || octet_length(bodies[j + 1]);
                END IF;
                PERFORM pg_notify(channels[k], concat_ws(' ', heads[k], t.epoch || generation_now,
                    micros, next_seq,
                    coalesce(nullif(array_to_string(others, ','), ''), '-'), what));
                next_seq := next_seq + fits[p] - cardinality(others);
            END IF;
            j := j + fits[p];
        END LOOP;

        IF added > 0 THEN
            UPDATE {schema}.topics SET seq = t.seq + added, low = floor_now,
                keep = greatest(keep, moment + interval '25 hours', expiry + interval '2 hours') WHERE id = t.id;
        END IF;
        results := results || 0;
        epochs := epochs || (t.epoch || generation_now);
        moments := moments || micros;
        seqs := seqs || t.seq::bigint;
        before_e := before_e + counts[k];
        before_p := before_p + packs[k];
    END LOOP;
END
$$;

-- publish is what nodes of an older version call, and publish_one.
CREATE OR REPLACE FUNCTION {schema}.publish(
    names bytea[], classes text[], sizes int[], ttls bigint[], channels text[], heads text[], counts int[], packs int[],
    ids bytea[], keys bytea[], bodies bytea[],
    fits int[], texts text[],
    waits int
) RETURNS int[] LANGUAGE sql AS $$
    SELECT results FROM {schema}.publish_events(names, classes, sizes, ttls, channels, heads, counts, packs, ids, NULL, keys, bodies, fits, texts, waits)
$$;
