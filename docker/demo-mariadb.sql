CREATE DATABASE photoprism CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER photoprism IDENTIFIED BY 'photons';
GRANT ALL ON photoprism.* TO photoprism;
