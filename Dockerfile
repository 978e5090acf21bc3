# Build: the same packages as `make setup-build`.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends pkg-config libssl-dev libxmlsec1-dev libxml2-dev clang libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked && strip target/release/isthmus

# Run: the libraries that the program links, certificate authorities, and nothing to compile with.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libxmlsec1 libxmlsec1-openssl libxml2 libssl3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/isthmus --create-home isthmus \
    && install --directory --mode 0700 --owner isthmus --group isthmus /var/lib/isthmus/certs /var/lib/isthmus/data
COPY --from=build /build/target/release/isthmus /usr/local/bin/isthmus
USER isthmus
# The configuration, its mapping tables and metadata files: mount a directory here, read-only. Its relative paths mean
# this directory, so name what the program writes by absolute paths below /var/lib/isthmus, and mount a volume there.
ENV ISTHMUS_CONFIG=/etc/isthmus/isthmus.toml
WORKDIR /var/lib/isthmus
VOLUME /var/lib/isthmus
# 8400 is for browsers and applications. 8401 (health, metrics, traces) is not for the public.
EXPOSE 8400 8401
# Asks the operations listener; give --address if operations_listen is another one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["isthmus", "healthcheck"]
# On SIGTERM no new work is accepted and what is under way is finished.
STOPSIGNAL SIGTERM
ENTRYPOINT ["isthmus"]
CMD ["serve"]
