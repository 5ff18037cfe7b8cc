-- Made by the program of its time (8774c3a) out of 3-4ffd012, one step further, then .dump; PRAGMA user_version = 4
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        deed TEXT NOT NULL,
        photo_id INTEGER,
        user TEXT NOT NULL DEFAULT '',
        path BLOB NOT NULL DEFAULT x'',
        note TEXT NOT NULL DEFAULT ''
    );
INSERT INTO "audit" VALUES(1,1795000026.0,'relay','removed',1,'',X'','removed');
INSERT INTO "audit" VALUES(2,1795000042.0,'alice at 10.0.0.1','paused',NULL,'',X'','');
CREATE TABLE baseline (
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (user, path)
    ) WITHOUT ROWID;
INSERT INTO "baseline" VALUES('alice',X'496E7374616E7455706C6F61642F6F6C642E6A7067',7,8,0);
INSERT INTO "baseline" VALUES('alice',X'50686F746F732FFF2E6A7067',9,10,0);
CREATE TABLE batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        created_at REAL NOT NULL,
        ended_at REAL,
        imports INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try REAL,
        since REAL,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
INSERT INTO "batches" VALUES(1,'abcdefghijklmn','placed',1795000010.0,NULL,0,0,NULL,NULL,'','');
CREATE TABLE "contents" (
        blake3 BLOB PRIMARY KEY,
        size INTEGER NOT NULL,
        path BLOB NOT NULL,
        photo_id INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "contents" VALUES(X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',2001,X'323032362F31312F782E6A7067',1);
CREATE TABLE deeds (
        hash BLOB PRIMARY KEY,
        deed TEXT NOT NULL,
        subject TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        used_at REAL
    ) WITHOUT ROWID;
INSERT INTO "deeds" VALUES(X'6464646464646464646464646464646464646464646464646464646464646464','include','carol',1795000000.0,1795000009.0,NULL);
CREATE TABLE homes (
        user TEXT PRIMARY KEY,
        first_seen REAL NOT NULL,
        baseline_at REAL,
        gone_since REAL
    , anchor TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
INSERT INTO "homes" VALUES('alice',1794999900.0,1794999901.0,NULL,'');
INSERT INTO "homes" VALUES('bob',1794999950.0,NULL,1794999960.0,'');
CREATE TABLE inspections (
        inspector TEXT NOT NULL,
        photo_id INTEGER NOT NULL,
        at REAL NOT NULL,
        value TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (inspector, photo_id)
    ) WITHOUT ROWID;
INSERT INTO "inspections" VALUES('near',1,1795000000.0,'ff','close');
CREATE TABLE job_photos (
        job_id INTEGER NOT NULL,
        photo_id INTEGER NOT NULL,
        PRIMARY KEY (photo_id, job_id)
    ) WITHOUT ROWID;
INSERT INTO "job_photos" VALUES(1,1);
INSERT INTO "job_photos" VALUES(2,1);
CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        gained INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        taken INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try REAL,
        since REAL,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
INSERT INTO "jobs" VALUES(1,'album','admin',X'323032362F3131',1,1795000027.0,0,0,NULL,NULL,'','');
INSERT INTO "jobs" VALUES(2,'user','alice',X'496E7374616E7455706C6F6164',1,1795000028.0,0,0,NULL,NULL,'','');
CREATE TABLE marks (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "marks" VALUES('paused','alice');
CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        about TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL,
        created_at REAL NOT NULL,
        not_before REAL NOT NULL DEFAULT 0,
        stale_at REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
INSERT INTO "outbox" VALUES(1,'ntfy','issue.error','','{"a": 1}',1795000000.0,0.0,NULL,0,'','');
CREATE TABLE photos (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        folder BLOB NOT NULL,
        path BLOB NOT NULL,
        role TEXT NOT NULL,
        group_id INTEGER,
        state TEXT NOT NULL,
        resume TEXT,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        blake3 BLOB,
        sha1 BLOB,
        kind TEXT NOT NULL DEFAULT '',
        content_id TEXT NOT NULL DEFAULT '',
        batch_id INTEGER REFERENCES batches (id),
        place BLOB NOT NULL DEFAULT x'',
        duplicate_of INTEGER,
        archived_as BLOB NOT NULL DEFAULT x'',
        archive_inode INTEGER,
        archive_size INTEGER,
        archive_mtime_ns INTEGER,
        archive_ctime_ns INTEGER,
        taken TEXT NOT NULL DEFAULT '',
        taken_from TEXT NOT NULL DEFAULT '',
        after TEXT NOT NULL DEFAULT '',
        hidden BLOB NOT NULL DEFAULT x'',
        imports INTEGER NOT NULL DEFAULT 0,
        indexings INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try REAL,
        since REAL,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        hint TEXT NOT NULL DEFAULT '',
        found_at REAL NOT NULL,
        ended_at REAL,
        proved_at REAL
    , way TEXT NOT NULL DEFAULT '');
INSERT INTO "photos" VALUES(1,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F494D475F312E6A7067','main',NULL,'done',NULL,101,2001,3000000001,4000000001,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',X'000102030405060708090A0B0C0D0E0F10111213','jpg','',1,X'61626364656667682F494D475F312E6A7067',NULL,X'323032362F31312F782E6A7067',900,2001,5,6,'2026-11-05T10:00:00','exif','delete',X'',0,0,0,NULL,NULL,'','','',1795000001.0,1795000026.0,1795000025.0,'
s19.0
e20.0
p21.0
i22.0
a23.0 proved in the archive as 2026/11/x.jpg
r24.0 removed
d25.0');
INSERT INTO "photos" VALUES(2,'bob',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F616761696E2E6A7067','main',NULL,'done',NULL,102,2002,3000000002,4000000002,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',NULL,'','',NULL,X'',1,X'',NULL,NULL,NULL,NULL,'','','keep',X'',0,0,0,NULL,NULL,'','','',1795000002.0,1795000023.0,NULL,'
s18.0
a19.0 a duplicate
r20.0 kept
d21.0');
INSERT INTO "photos" VALUES(3,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642FFF0A2E6A7067','main',NULL,'refused',NULL,103,2003,3000000003,4000000003,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,1795000030.0,'file.empty','it is empty','',1795000003.0,1795000030.0,NULL,'
x27.0 it is empty [file.empty]');
INSERT INTO "photos" VALUES(4,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F772E6A7067','main',NULL,'waiting','settled',104,2004,3000000004,4000000004,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,1,1795000060.0,1795000031.0,'photoprism.unreachable','no answer','wait',1795000004.0,NULL,NULL,'
s16.0
w27.0 no answer [photoprism.unreachable]');
INSERT INTO "photos" VALUES(5,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F682E6A7067','main',NULL,'held',NULL,105,2005,3000000005,4000000005,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,1795000032.0,'archive.absent','not there','look',1795000005.0,NULL,NULL,'
h27.0 not there [archive.absent]');
INSERT INTO "photos" VALUES(6,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F722E6A7067','main',NULL,'restored',NULL,106,2006,3000000006,4000000006,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,NULL,'','','',1795000006.0,1795000021.0,NULL,'
s14.0
b15.0 it stands in its place');
INSERT INTO "photos" VALUES(7,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F752E6A7067','main',NULL,'imported',NULL,107,2007,3000000007,4000000007,NULL,NULL,'','',1,X'61626364656667682F752E6A7067',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'2E70686F746F6E2D72656C61792D6162632D752E6A7067',0,0,0,NULL,NULL,'','','',1795000007.0,NULL,NULL,'
s13.0
p14.0
i994.0');
INSERT INTO "photos" VALUES(8,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F662E6A7067','main',8,'found',NULL,108,2008,3000000008,4000000008,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,NULL,'','','',1795000008.0,NULL,NULL,'');
INSERT INTO "photos" VALUES(9,'alice',X'496E7374616E7455706C6F6164',X'496E7374616E7455706C6F61642F662E786D70','side',8,'found',NULL,109,2009,3000000009,4000000009,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,NULL,'','','',1795000009.0,NULL,NULL,'');
CREATE TABLE quarters (
        quarter INTEGER PRIMARY KEY,
        done INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        duplicates INTEGER NOT NULL DEFAULT 0,
        duplicate_bytes INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0,
        restored INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "quarters" VALUES(1994444,1,2001,1,2002,1,1);
CREATE TABLE refreshed (
        kind TEXT NOT NULL,
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        at REAL NOT NULL,
        result TEXT NOT NULL,
        PRIMARY KEY (kind, user, path)
    ) WITHOUT ROWID;
CREATE TABLE sessions (
        id_hash BLOB PRIMARY KEY,
        epoch INTEGER NOT NULL,
        began_at REAL NOT NULL,
        used_at REAL NOT NULL,
        address TEXT NOT NULL DEFAULT '',
        agent TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID;
INSERT INTO "sessions" VALUES(X'ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB',1,1795000000.0,1795000001.0,'10.0.0.1','Firefox');
CREATE TABLE sweeps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started_at REAL NOT NULL,
        ended_at REAL,
        reason TEXT NOT NULL,
        seen INTEGER NOT NULL DEFAULT 0,
        missed INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "sweeps" VALUES(1,1795000040.0,1795000041.0,'start',5,1);
CREATE TABLE tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        hash BLOB NOT NULL UNIQUE,
        scope TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL,
        used_at REAL,
        used_from TEXT NOT NULL DEFAULT ''
    );
INSERT INTO "tokens" VALUES(1,'phone',X'6868686868686868686868686868686868686868686868686868686868686868','read',1795000000.0,NULL,NULL,'');
CREATE INDEX batches_unfinished ON batches (id) WHERE state <> 'ended';
CREATE INDEX photos_where ON photos (user, path);
CREATE INDEX photos_ended ON photos (ended_at);
CREATE INDEX photos_group ON photos (group_id);
CREATE INDEX photos_blake3 ON photos (blake3);
CREATE INDEX photos_batch ON photos (batch_id);
CREATE INDEX photos_hidden ON photos (id) WHERE hidden <> x'';
CREATE UNIQUE INDEX jobs_pending ON jobs (kind, user, path) WHERE taken = 0;
CREATE INDEX job_photos_job ON job_photos (job_id);
CREATE INDEX photos_of_user_in_state ON photos (user, state);
CREATE INDEX photos_sha1 ON photos (sha1);
CREATE INDEX photos_found ON photos (found_at);
CREATE INDEX audit_photo ON audit (photo_id) WHERE photo_id IS NOT NULL;
CREATE INDEX outbox_channel ON outbox (channel, id);
CREATE INDEX baseline_inode ON baseline (user, inode);
CREATE INDEX photos_due ON photos (state, next_try) WHERE next_try IS NOT NULL;
CREATE INDEX photos_in_state ON photos (state);
CREATE INDEX photos_of_user ON photos (user);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('batches',1);
INSERT INTO "sqlite_sequence" VALUES('photos',9);
INSERT INTO "sqlite_sequence" VALUES('audit',2);
INSERT INTO "sqlite_sequence" VALUES('jobs',2);
INSERT INTO "sqlite_sequence" VALUES('sweeps',1);
INSERT INTO "sqlite_sequence" VALUES('tokens',1);
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
COMMIT;
PRAGMA user_version = 4;
