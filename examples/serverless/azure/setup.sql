-- Run once by the administrator of the server, in the database chat:
--   psql "$ADMIN" -v password="$PASSWORD" -f setup.sql
-- The program signs in as this role. It may connect, and make the one schema that
-- engine/postgres keeps everything in; nobody else may connect.
CREATE ROLE chat LOGIN PASSWORD :'password';
REVOKE ALL ON DATABASE chat FROM PUBLIC;
GRANT CONNECT, CREATE ON DATABASE chat TO chat;
