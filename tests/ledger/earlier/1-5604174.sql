-- Made by the program of its time (5604174), then .dump; PRAGMA user_version = 1
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE homes (
        user TEXT PRIMARY KEY,
        first_seen REAL NOT NULL,
        baseline_at REAL,
        gone_since REAL
    ) WITHOUT ROWID;
INSERT INTO homes VALUES('alice',1794999900.0,1794999901.0,NULL);
INSERT INTO homes VALUES('bob',1794999950.0,NULL,1794999960.0);
CREATE TABLE baseline (
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (user, path)
    ) WITHOUT ROWID;
INSERT INTO baseline VALUES('alice',X'496e7374616e7455706c6f61642f6f6c642e6a7067',7,8);
INSERT INTO baseline VALUES('alice',X'50686f746f732fff2e6a7067',9,10);
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
INSERT INTO batches VALUES(1,'abcdefghijklmn','placed',1795000010.0,NULL,0,0,NULL,NULL,'','');
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
    );
INSERT INTO photos VALUES(1,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f494d475f312e6a7067','main',NULL,'done',NULL,101,2001,3000000001,4000000001,X'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',X'000102030405060708090a0b0c0d0e0f10111213','jpg','',1,X'61626364656667682f494d475f312e6a7067',NULL,X'323032362f31312f782e6a7067',900,2001,5,6,'2026-11-05T10:00:00','exif','delete',X'',0,0,0,NULL,NULL,'','','',1795000001.0,1795000026.0,1795000025.0);
INSERT INTO photos VALUES(2,'bob',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f616761696e2e6a7067','main',NULL,'done',NULL,102,2002,3000000002,4000000002,X'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',NULL,'','',NULL,X'',1,X'',NULL,NULL,NULL,NULL,'','','keep',X'',0,0,0,NULL,NULL,'','','',1795000002.0,1795000023.0,NULL);
INSERT INTO photos VALUES(3,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642fff0a2e6a7067','main',NULL,'refused',NULL,103,2003,3000000003,4000000003,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,1795000030.0,'file.empty','it is empty','',1795000003.0,1795000030.0,NULL);
INSERT INTO photos VALUES(4,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f772e6a7067','main',NULL,'waiting','settled',104,2004,3000000004,4000000004,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,1,1795000060.0,1795000031.0,'photoprism.unreachable','no answer','wait',1795000004.0,NULL,NULL);
INSERT INTO photos VALUES(5,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f682e6a7067','main',NULL,'held',NULL,105,2005,3000000005,4000000005,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,1795000032.0,'archive.absent','not there','look',1795000005.0,NULL,NULL);
INSERT INTO photos VALUES(6,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f722e6a7067','main',NULL,'restored',NULL,106,2006,3000000006,4000000006,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,NULL,'','','',1795000006.0,1795000021.0,NULL);
INSERT INTO photos VALUES(7,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f752e6a7067','main',NULL,'placed',NULL,107,2007,3000000007,4000000007,NULL,NULL,'','',1,X'61626364656667682f752e6a7067',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'2e70686f746f6e2d72656c61792d6162632d752e6a7067',0,0,0,NULL,NULL,'','','',1795000007.0,NULL,NULL);
INSERT INTO photos VALUES(8,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f662e6a7067','main',8,'found',NULL,108,2008,3000000008,4000000008,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,NULL,'','','',1795000008.0,NULL,NULL);
INSERT INTO photos VALUES(9,'alice',X'496e7374616e7455706c6f6164',X'496e7374616e7455706c6f61642f662e786d70','side',8,'found',NULL,109,2009,3000000009,4000000009,NULL,NULL,'','',NULL,X'',NULL,X'',NULL,NULL,NULL,NULL,'','','',X'',0,0,0,NULL,NULL,'','','',1795000009.0,NULL,NULL);
CREATE TABLE contents (
        blake3 BLOB PRIMARY KEY,
        sha1 BLOB NOT NULL,
        size INTEGER NOT NULL,
        path BLOB NOT NULL,
        photo_id INTEGER NOT NULL,
        proved_at REAL NOT NULL
    ) WITHOUT ROWID;
INSERT INTO contents VALUES(X'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',X'000102030405060708090a0b0c0d0e0f10111213',2001,X'323032362f31312f782e6a7067',1,1795000025.0);
CREATE TABLE history (
        photo_id INTEGER NOT NULL,
        at REAL NOT NULL,
        state TEXT NOT NULL,
        note TEXT NOT NULL DEFAULT ''
    );
INSERT INTO history VALUES(1,1795000001.0,'found','');
INSERT INTO history VALUES(1,1795000020.0,'settled','');
INSERT INTO history VALUES(1,1795000021.0,'examined','');
INSERT INTO history VALUES(1,1795000022.0,'placed','');
INSERT INTO history VALUES(1,1795000023.0,'imported','');
INSERT INTO history VALUES(1,1795000024.0,'archived','proved in the archive as 2026/11/x.jpg');
INSERT INTO history VALUES(1,1795000025.0,'released','removed');
INSERT INTO history VALUES(1,1795000026.0,'done','');
INSERT INTO history VALUES(2,1795000002.0,'found','');
INSERT INTO history VALUES(2,1795000020.0,'settled','');
INSERT INTO history VALUES(2,1795000021.0,'archived','a duplicate');
INSERT INTO history VALUES(2,1795000022.0,'released','kept');
INSERT INTO history VALUES(2,1795000023.0,'done','');
INSERT INTO history VALUES(3,1795000003.0,'found','');
INSERT INTO history VALUES(3,1795000030.0,'refused','it is empty [file.empty]');
INSERT INTO history VALUES(4,1795000004.0,'found','');
INSERT INTO history VALUES(4,1795000020.0,'settled','');
INSERT INTO history VALUES(4,1795000031.0,'waiting','no answer [photoprism.unreachable]');
INSERT INTO history VALUES(5,1795000005.0,'found','');
INSERT INTO history VALUES(5,1795000032.0,'held','not there [archive.absent]');
INSERT INTO history VALUES(6,1795000006.0,'found','');
INSERT INTO history VALUES(6,1795000020.0,'settled','');
INSERT INTO history VALUES(6,1795000021.0,'restored','it stands in its place');
INSERT INTO history VALUES(7,1795000007.0,'found','');
INSERT INTO history VALUES(7,1795000020.0,'settled','');
INSERT INTO history VALUES(7,1795000021.0,'placed','');
INSERT INTO history VALUES(8,1795000008.0,'found','');
INSERT INTO history VALUES(9,1795000009.0,'found','');
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
INSERT INTO jobs VALUES(1,'album','admin',X'323032362f3131',1,1795000027.0,0,0,NULL,NULL,'','');
INSERT INTO jobs VALUES(2,'user','alice',X'496e7374616e7455706c6f6164',1,1795000028.0,0,0,NULL,NULL,'','');
CREATE TABLE job_photos (
        job_id INTEGER NOT NULL,
        photo_id INTEGER NOT NULL,
        PRIMARY KEY (photo_id, job_id)
    ) WITHOUT ROWID;
INSERT INTO job_photos VALUES(1,1);
INSERT INTO job_photos VALUES(2,1);
CREATE TABLE refreshed (
        kind TEXT NOT NULL,
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        at REAL NOT NULL,
        result TEXT NOT NULL,
        PRIMARY KEY (kind, user, path)
    ) WITHOUT ROWID;
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
INSERT INTO audit VALUES(1,1795000026.0,'relay','removed',1,'alice',X'496e7374616e7455706c6f61642f494d475f312e6a7067','removed');
INSERT INTO audit VALUES(2,1795000042.0,'alice at 10.0.0.1','paused',NULL,'',X'','');
CREATE TABLE sweeps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started_at REAL NOT NULL,
        ended_at REAL,
        reason TEXT NOT NULL,
        seen INTEGER NOT NULL DEFAULT 0,
        missed INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO sweeps VALUES(1,1795000040.0,1795000041.0,'start',5,1);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('batches',1);
INSERT INTO sqlite_sequence VALUES('photos',9);
INSERT INTO sqlite_sequence VALUES('audit',2);
INSERT INTO sqlite_sequence VALUES('jobs',2);
INSERT INTO sqlite_sequence VALUES('sweeps',1);
CREATE INDEX batches_unfinished ON batches (id) WHERE state <> 'ended';
CREATE INDEX photos_where ON photos (user, path);
CREATE INDEX photos_state ON photos (state, next_try);
CREATE INDEX photos_ended ON photos (ended_at);
CREATE INDEX photos_group ON photos (group_id);
CREATE INDEX photos_blake3 ON photos (blake3);
CREATE INDEX photos_batch ON photos (batch_id);
CREATE INDEX photos_hidden ON photos (id) WHERE hidden <> x'';
CREATE INDEX history_photo ON history (photo_id);
CREATE UNIQUE INDEX jobs_pending ON jobs (kind, user, path) WHERE taken = 0;
CREATE INDEX job_photos_job ON job_photos (job_id);
COMMIT;
PRAGMA user_version = 1;
