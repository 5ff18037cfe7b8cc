# The one image: `run` (the daemon), `gate` (the guard before the Docker socket), `check`, `sweep` and the rest.
#
#   make image                                       builds photon-relay:<version> and photon-relay:latest
#   docker build -t photon-relay .                   the same by hand, without a version on the label
#   docker buildx build --platform linux/amd64,linux/arm64 …    nothing in here depends on the processor
#
# What changes rarely stands first: after a change of the code alone, only the small last layer is made anew.
ARG BASE=debian:trixie-slim

# ---- what comes from Debian ----
FROM ${BASE} AS system
COPY docker/dpkg.cfg /etc/dpkg/dpkg.cfg.d/photon-relay
# Debian takes old versions of a package off its servers, so a pinned one would soon not be found.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libimage-exiftool-perl python3 tzdata \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/* \
    && install -d -o 33 -g 33 -m 0770 /config /state \
    && install -d -m 0755 /gate

# ---- the libraries: exactly those of requirements.lock, each proved by its hash; wheels only, nothing is compiled ----
FROM system AS libraries
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/requirements.lock
# pip runs from a folder of its own: none is left where the libraries are. Sources and stubs are of use to compilers.
RUN python3 -m venv /tmp/pip \
    && python3 -m venv --without-pip /opt/photon-relay \
    && /tmp/pip/bin/pip --python /opt/photon-relay/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-compile --require-hashes --only-binary :all: --requirement /tmp/requirements.lock \
    && find /opt/photon-relay -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete \
    && find /opt/photon-relay -depth -type d -name tests -exec rm -r {} + \
    && rm -f /opt/photon-relay/bin/[Aa]ctivate* \
    && echo /opt/photon-relay/app > /opt/photon-relay/lib/python3.13/site-packages/photon-relay.pth \
    && /opt/photon-relay/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/photon-relay/lib

# ---- the program, compiled here because the image's own root file system is not to be written to ----
FROM libraries AS program
COPY daemon /opt/photon-relay/app/daemon
COPY ui /opt/photon-relay/app/ui
COPY config /opt/photon-relay/app/config
# A version that is named must be the program's own: there is one place for it, daemon/__init__.py.
ARG VERSION=unnamed
RUN /opt/photon-relay/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/photon-relay/app \
    && own="$(/opt/photon-relay/bin/python -P -c 'import daemon; print(daemon.__version__)')" \
    && if [ "${VERSION}" != unnamed ] && [ "${VERSION}" != "${own}" ]; then \
         echo "VERSION is ${VERSION}, but daemon/__init__.py says ${own}" >&2; exit 1; fi

# ---- the image ----
FROM system
COPY --from=libraries /opt/photon-relay /opt/photon-relay
COPY docker/photon-relay /usr/local/bin/photon-relay
COPY docker/folders /usr/local/bin/photon-relay-folders
# HOME: exiftool would run a .ExifTool_config that it finds there as Perl, so it is a place that cannot exist.
ENV PHOTON_RELAY_CONFIG=/config/photon-relay.yaml \
    PHOTON_RELAY__STATE=/state \
    PHOTON_RELAY__UI__LISTEN=0.0.0.0:8080 \
    HOME=/nonexistent \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
COPY --from=program /opt/photon-relay/app /opt/photon-relay/app
USER 33:33
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["photon-relay", "health"]
ENTRYPOINT ["photon-relay"]
CMD ["run"]
ARG BASE=debian:trixie-slim
ARG VERSION=unnamed
ARG REVISION=unnamed
LABEL org.opencontainers.image.title="Photon Relay" \
      org.opencontainers.image.description="Photos that people upload to Nextcloud reach the shared PhotoPrism archive by themselves, within seconds." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
