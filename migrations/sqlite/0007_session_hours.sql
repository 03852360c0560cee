-- How many sessions there are, by the hour in which they expire. Its twin is ../postgres/0007_session_hours.sql.

-- So that neither their total nor the number of those that go on needs every row. The triggers keep it, whoever writes.
CREATE TABLE session_hours (
    -- Hours since 1970.
    hour INTEGER NOT NULL PRIMARY KEY,
    sessions INTEGER NOT NULL
);
INSERT INTO session_hours (hour, sessions) SELECT expires_at / 3600000, COUNT(*) FROM sessions GROUP BY 1;

CREATE TRIGGER session_hours_insert AFTER INSERT ON sessions
BEGIN
    INSERT INTO session_hours (hour, sessions) VALUES (NEW.expires_at / 3600000, 1)
        ON CONFLICT (hour) DO UPDATE SET sessions = sessions + 1;
END;

CREATE TRIGGER session_hours_update AFTER UPDATE OF expires_at ON sessions
WHEN NEW.expires_at / 3600000 <> OLD.expires_at / 3600000
BEGIN
    INSERT INTO session_hours (hour, sessions) VALUES (NEW.expires_at / 3600000, 1)
        ON CONFLICT (hour) DO UPDATE SET sessions = sessions + 1;
    UPDATE session_hours SET sessions = sessions - 1 WHERE hour = OLD.expires_at / 3600000;
    DELETE FROM session_hours WHERE hour = OLD.expires_at / 3600000 AND sessions <= 0;
END;

CREATE TRIGGER session_hours_delete AFTER DELETE ON sessions
BEGIN
    UPDATE session_hours SET sessions = sessions - 1 WHERE hour = OLD.expires_at / 3600000;
    DELETE FROM session_hours WHERE hour = OLD.expires_at / 3600000 AND sessions <= 0;
END;
