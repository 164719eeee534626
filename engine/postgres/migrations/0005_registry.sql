-- renew makes the lease of an owner end ms from now, and tells whether there was one.
CREATE FUNCTION {schema}.renew(who bytea, ms bigint) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    o record;
BEGIN
    INSERT INTO {schema}.owners (owner, ends) VALUES (who, clock_timestamp() + ms * interval '1 millisecond') ON CONFLICT (owner) DO NOTHING;
    IF FOUND THEN
        RETURN false;
    END IF;
    SELECT lease, ends INTO o FROM {schema}.owners WHERE owner = who FOR NO KEY UPDATE;
    IF NOT FOUND THEN -- it was dropped meanwhile
        RETURN {schema}.renew(who, ms);
    END IF;
    IF o.ends > clock_timestamp() THEN
        UPDATE {schema}.owners SET ends = clock_timestamp() + ms * interval '1 millisecond' WHERE owner = who;
        RETURN true;
    END IF;
    INSERT INTO {schema}.graves VALUES (o.lease) ON CONFLICT DO NOTHING;
    UPDATE {schema}.owners SET lease = DEFAULT, ends = clock_timestamp() + ms * interval '1 millisecond' WHERE owner = who;
    RETURN false;
END
$$;

-- put keeps an entry: for ms, or where that is 0 as long as its owner's lease.
CREATE FUNCTION {schema}.put(g bytea, m bytea, who bytea, v bytea, ms bigint) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO {schema}.entries (grp, member, owner, lease, ends, value)
        SELECT g, m, who, NULL::bigint, clock_timestamp() + ms * interval '1 millisecond', v WHERE ms > 0
        UNION ALL
        SELECT g, m, who, o.lease, NULL, v FROM {schema}.owners o WHERE ms = 0 AND o.owner = who AND o.ends > clock_timestamp()
        ON CONFLICT (grp, member, owner) DO UPDATE SET lease = excluded.lease, ends = excluded.ends, value = excluded.value;
    IF NOT FOUND THEN
        DELETE FROM {schema}.entries e WHERE e.grp = g AND e.member = m AND e.owner = who;
    END IF;
END
$$;

-- entries returns some of a group, those that follow a member and an owner.
CREATE FUNCTION {schema}.entries(g bytea, after_member bytea, after_owner bytea, most int) RETURNS TABLE (member bytea, owner bytea, value bytea)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT e.member, e.owner, e.value FROM {schema}.entries e
    WHERE e.grp = g AND (e.member, e.owner) > (after_member, after_owner)
        AND (e.ends > now() OR e.ends IS NULL AND EXISTS (
            SELECT FROM {schema}.owners o WHERE o.owner = e.owner AND o.lease = e.lease AND o.ends > now()))
    ORDER BY e.member, e.owner LIMIT most
$$;

-- keep keeps a value for a key unless there is one, and returns what there is.
CREATE FUNCTION {schema}.keep(k bytea, v bytea, ms bigint) RETURNS bytea LANGUAGE sql AS $$
    INSERT INTO {schema}.kept AS t (key, value, ends) VALUES (k, v, clock_timestamp() + ms * interval '1 millisecond')
    ON CONFLICT (key) DO UPDATE SET ends = excluded.ends,
        value = CASE WHEN t.ends > clock_timestamp() THEN t.value ELSE excluded.value END
    RETURNING value
$$;
