-- A store as the first schema wrote it. Never edited: stores like this one exist.
PRAGMA journal_mode = WAL;
BEGIN;
PRAGMA application_id = 1298623860;
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE vm (name TEXT NOT NULL PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, qid INTEGER NOT NULL, document TEXT NOT NULL, run TEXT);
CREATE TABLE label (name TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL, color TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pool (name TEXT NOT NULL PRIMARY KEY, driver TEXT NOT NULL, config TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE property (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, pairs TEXT NOT NULL);
INSERT INTO meta VALUES ('epoch', '00000000deadbeef'), ('identity', '1.2.3');
INSERT INTO vm VALUES ('work', '00000000-0000-4000-8000-000000000001', 5,
  '{"class":"AppVM","properties":{"label":"red"},"features":{},"tags":["created-by-dom0"],"volumes":{"root":{"pool":"default","vid":"appvms/work/root","size":1024,"rw":true,"save_on_stop":false,"snap_on_start":true,"source":"vm-templates/debian/root","revisions_to_keep":2,"ephemeral":false}}}',
  '{"pid":77,"start_ticks":12345,"boot_id":"b","start_guid":"00000000-0000-4000-8000-00000000000a","started_at":"2026-01-02T03:04:05+00:00","directory":"/run/mgmtd/vm/5","machine":"mgmt-5-work"}');
INSERT INTO label VALUES ('red', 1, '0xcc0000');
INSERT INTO pool VALUES ('default', 'file', '{"dir_path":"/srv/pools/default"}');
INSERT INTO property VALUES ('default_netvm', 'sys-net');
INSERT INTO journal VALUES (41, 1893456000000, '', 'domain-add', '["vm","work"]');
PRAGMA user_version = 1;
COMMIT;
