-- How many sessions there are, by the hour in which they expire. Its twin is ../sqlite/0007_session_hours.sql.

-- So that neither their total nor the number of those that go on needs every row. The triggers keep it, whoever writes: once
-- for each statement, and the hours in order, so that two writers never wait for each other.
CREATE TABLE session_hours (
    -- Hours since 1970.
    hour BIGINT NOT NULL CONSTRAINT "session_hours.hour" PRIMARY KEY,
    sessions BIGINT NOT NULL
);
INSERT INTO session_hours (hour, sessions) SELECT expires_at / 3600000, COUNT(*) FROM sessions GROUP BY 1;

CREATE FUNCTION count_new_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO session_hours (hour, sessions)
        SELECT expires_at / 3600000, COUNT(*) FROM added GROUP BY 1 ORDER BY 1
        ON CONFLICT (hour) DO UPDATE SET sessions = session_hours.sessions + excluded.sessions;
    RETURN NULL;
END
$$;

CREATE FUNCTION count_moved_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO session_hours (hour, sessions)
        SELECT moved.hour, SUM(moved.sessions) FROM (
            SELECT expires_at / 3600000 AS hour, 1 AS sessions FROM added
            UNION ALL SELECT expires_at / 3600000, -1 FROM removed) AS moved
        GROUP BY 1 HAVING SUM(moved.sessions) <> 0 ORDER BY 1
        ON CONFLICT (hour) DO UPDATE SET sessions = session_hours.sessions + excluded.sessions;
    RETURN NULL;
END
$$;

CREATE FUNCTION uncount_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO session_hours (hour, sessions)
        SELECT expires_at / 3600000, -COUNT(*) FROM removed GROUP BY 1 ORDER BY 1
        ON CONFLICT (hour) DO UPDATE SET sessions = session_hours.sessions + excluded.sessions;
    DELETE FROM session_hours WHERE sessions = 0 AND hour IN (SELECT expires_at / 3600000 FROM removed);
    RETURN NULL;
END
$$;

CREATE TRIGGER session_hours_insert AFTER INSERT ON sessions REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_new_sessions();
CREATE TRIGGER session_hours_update AFTER UPDATE ON sessions REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_moved_sessions();
CREATE TRIGGER session_hours_delete AFTER DELETE ON sessions REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION uncount_sessions();
