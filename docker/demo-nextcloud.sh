#!/bin/sh
# Run by Nextcloud's own start script once it is installed: Memories, and the archive under /Album for everybody.
set -eu
php occ app:install memories
php occ app:enable files_external
mount=$(php occ files_external:create /Album local null::null --config datadir=/album --output=json)
php occ files_external:option "$mount" readonly true
php occ config:system:set trusted_domains 1 --value=127.0.0.1
