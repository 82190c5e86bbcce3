# One image for workers, migrations, schedule and sandbox provider. Runs as an ordinary user on a read-only root.
FROM python:3.11.14-slim-bookworm AS packages
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.txt
WORKDIR /app
COPY dunwell dunwell
COPY activities activities
COPY workflows workflows
COPY worker.py starter.py ./
# Compiled here, for the file system they run from is read-only. Unchecked: sources do not change inside an image.
RUN /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin dunwell \
 && install -d -o dunwell -g dunwell /var/lib/dunwell/lists /var/lib/dunwell/provider
COPY --from=packages /venv /venv
COPY --from=packages /app /app
COPY rules /app/rules
COPY strategies /app/strategies
COPY templates /app/templates
COPY deploy/healthy.py /app/deploy/healthy.py
WORKDIR /app
USER 10001:10001
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DUNWELL_HEALTH_HOST=0.0.0.0 \
    DUNWELL_HEALTH_PORT=8080 \
    DUNWELL_METRICS_ADDRESS=0.0.0.0:9090 \
    DUNWELL_LISTS=/var/lib/dunwell/lists
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "deploy/healthy.py", "http://127.0.0.1:8080/readyz"]
CMD ["python", "worker.py"]
