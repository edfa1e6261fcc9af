# Not built by the project's own checks: no container engine was at hand. Its RUN lines are the make targets that the checks do run.
FROM python:3.11-slim

RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /srv/metergate --create-home metergate
WORKDIR /srv/metergate
USER metergate

# The environment first: it changes less often than the code.
COPY --chown=metergate Makefile requirements.lock ./
RUN make .venv/.locked
COPY --chown=metergate . .
RUN make setup && mkdir -p data

ENV PATH=/srv/metergate/.venv/bin:$PATH METERGATE_HTTP_HOST=0.0.0.0
# Made above and owned by the account, so that a new volume is too.
VOLUME /srv/metergate/data
EXPOSE 8080
STOPSIGNAL SIGTERM
CMD ["metergate", "up"]
