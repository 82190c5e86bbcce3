-- Run once by the image of PostgreSQL, on an empty data folder. Each user owns its own databases and reaches no other.
-- Passwords come by the environment, so that no command line shows them.
\set ON_ERROR_STOP on
\getenv dunwell_password DUNWELL_DB_PASSWORD
\getenv temporal_password TEMPORAL_DB_PASSWORD

create role dunwell login password :'dunwell_password';
create role temporal login password :'temporal_password';

create database dunwell owner dunwell;
create database temporal owner temporal;
create database temporal_visibility owner temporal;

revoke connect on database dunwell, temporal, temporal_visibility from public;
