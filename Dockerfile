# One image that trains and serves. `docker build -t alsriaz .` is all it takes, with BuildKit or without.

# What both programs need of Debian: changes of our code or of the Python packages leave this layer as it is.
FROM debian:trixie-slim AS system
RUN printf 'path-exclude=%s\n' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/doc/*' >/etc/dpkg/dpkg.cfg.d/alsriaz \
    && echo 'path-include=/usr/share/doc/*/copyright' >>/etc/dpkg/dpkg.cfg.d/alsriaz \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libopenblas0-pthread nginx openjdk-21-jre-headless python3 \
    && ln -s "$(dirname "$(dirname "$(readlink -f /usr/bin/java)")")" /opt/java \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +

# The pinned packages, and nothing else of pyproject.toml: only a change of theirs installs them anew.
FROM system AS pins
COPY pyproject.toml /
RUN python3 -c 'import tomllib; lists = tomllib.load(open("/pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
    print(*sorted({*lists["serve"], *lists["train"]}), sep="\n")' >/requirements.txt

FROM system AS packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
COPY --from=pins /requirements.txt /
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements.txt \
    && /opt/venv/bin/pip uninstall --yes --quiet pip \
    && ln -s "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" /opt/site-packages \
    && echo /opt/program >/opt/site-packages/alsriaz.pth
# What the packages bring along for their own developers, for other languages, for clusters and for other clouds.
WORKDIR /opt/site-packages
COPY container/unused_jars.txt /
RUN find . -type d -name tests -prune -exec rm -r {} + \
    && rm -r pyarrow/include pyarrow/includes pyarrow/src pyarrow/*flight* pyarrow/*s3* \
        pyspark/data pyspark/examples pyspark/python \
    && cd pyspark/jars && grep -v '^#' /unused_jars.txt | while read -r pattern; do rm -r $pattern || exit; done

# Spark's classes, ready for java to map. An archive fits these very jars and this very java: nothing below may touch them.
FROM packages AS classes
COPY container/alsriaz/__init__.py container/alsriaz/errors.py /opt/program/alsriaz/
COPY container/alsriaz/platform/ /opt/program/alsriaz/platform/
COPY container/alsriaz/training/__init__.py /opt/program/alsriaz/training/
COPY container/alsriaz/training/engines/ /opt/program/alsriaz/training/engines/
RUN JAVA_HOME=/opt/java /opt/venv/bin/python -B -m alsriaz.training.engines.class_data

FROM system AS program
COPY container/alsriaz/ /opt/program/alsriaz/
COPY container/entrypoint container/healthcheck /opt/program/
RUN python3 -m compileall -q /opt/program && chmod -R u=rwX,go=rX /opt/program

FROM system
COPY --from=packages /opt/venv /opt/venv
COPY --from=classes /opt/venv/share/alsriaz /opt/venv/share/alsriaz
COPY --from=program /opt/program /opt/program
ENV PATH=/opt/program/alsriaz:/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    JAVA_HOME=/opt/java \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/program
EXPOSE 8080
# The start period is how long a large model may take to load.
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s CMD ["/opt/program/healthcheck"]
ENTRYPOINT ["/opt/program/entrypoint"]

# Last, since a build of each commit may name that commit: docker build --build-arg REVISION="$(git rev-parse HEAD)" .
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true \
      org.opencontainers.image.title=alsriaz \
      org.opencontainers.image.description="A SageMaker-compatible recommender: Spark ALS on retail sales, served under include and exclude rules." \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.base.name=debian:trixie-slim
