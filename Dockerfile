# The command line as an image: docker build --tag nat-triage . && docker run --rm nat-triage --help
# Files to analyse are mounted: --volume "$PWD/logs:/logs:ro" nat-triage analyze --flow-logs /logs
FROM rust:1.95.0-slim-bookworm AS build
# aws-lc and zstd are C.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake gcc g++ libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /nat-triage
COPY . .
RUN cargo build --locked --release --bin nat-triage

FROM debian:12.12-slim
# TLS to AWS trusts the system's certificates.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /nat-triage/target/release/nat-triage /usr/local/bin/nat-triage
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/nat-triage/
# Nobody in particular: it needs no home and writes only where it is told to.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/nat-triage"]
