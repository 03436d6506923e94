"""The compose file with which an organisation runs its own part: broker, store, services, and the doctor."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from chassis.decision import Network, Organisation

FIRST_PORT = 8001
"""Where the first service is published, on the own machine only."""

_HEAD = Template("""\
# Generated from deploy/network.toml by `viisikko contract build`; do not edit.
# $name runs its own part: a broker, a store and services of its own, and two outbound connections to the hub.
#
#   export VIISIKKO_PACKAGE=/srv/package VIISIKKO_SMTP_URI=smtp://mail.example:25
#   docker compose -f deploy/compose/$code.yml up --build -d
#   docker compose -f deploy/compose/$code.yml run --rm doctor
#
# VIISIKKO_PACKAGE is the folder that `viisikko join $code` wrote at the hub, readable by the containers' user (10001).
# A copy of this file stands there too, for a clone that has none: add --project-directory deploy/compose.
# Only TCP 5671 to the hub must be open, outwards.
name: viisikko-$code

x-service: &service
  restart: unless-stopped
  read_only: true
  tmpfs: [/tmp]
  security_opt: ["no-new-privileges:true"]
  cap_drop: [ALL]
  stop_grace_period: 60s
  networks: [broker, store]
  volumes:
    - secrets:/secrets:ro
    - $${VIISIKKO_PACKAGE:?say where the package of viisikko join is}:/package:ro
  depends_on:
    prepare: { condition: service_completed_successfully }
    rabbitmq: { condition: service_healthy }
    mongodb: { condition: service_healthy }

x-settings: &settings
  VIISIKKO_ORGANISATION: $code
  VIISIKKO_AMQP_URI_FILE: /secrets/$code/amqp-uri
  VIISIKKO_TLS_CA: /secrets/authority/ca.pem
  VIISIKKO_MONGO_URI: mongodb://mongodb:27017/?replicaSet=viisikko&w=majority&journal=true
  VIISIKKO_HTTP: 0.0.0.0:8000
  VIISIKKO_NETWORK: /package/network.toml
  VIISIKKO_SECRETS: /secrets/$code
  VIISIKKO_KEYS: /secrets/keys

# Where its catalogue begins that is new, was restored, or was long away: another copy, where one may be reached.
x-copy: &copy
  VIISIKKO_CATALOGUE_COPY: $${VIISIKKO_CATALOGUE_COPY:-}
  VIISIKKO_CATALOGUE_COPY_TOKEN_FILE: /package/copy-token

x-mail: &mail
  VIISIKKO_SMTP_URI: $${VIISIKKO_SMTP_URI:?say where your mail server is, such as smtp://mail.example:25}
  VIISIKKO_MAIL_FROM: $${VIISIKKO_MAIL_FROM:-viisikko@localhost}

services:
  prepare:
    build: { context: ../.., dockerfile: deploy/console/Dockerfile }
    command:
      - prepare-part
      - $code
      - --package=/package
      - --folder=/secrets
      - --definitions=/definitions
      - --broker=rabbitmq
    network_mode: none
    volumes:
      - secrets:/secrets
      - definitions:/definitions
      - $${VIISIKKO_PACKAGE:?say where the package of viisikko join is}:/package:ro

  rabbitmq:
    image: rabbitmq:4.1-management
    restart: unless-stopped
    hostname: rabbitmq
    networks: [broker, outside]
    ports: ["127.0.0.1:15672:15672"]
    volumes:
      - rabbitmq:/var/lib/rabbitmq
      - definitions:/definitions:ro
      - ../rabbitmq/rabbitmq.conf:/etc/rabbitmq/conf.d/20-viisikko.conf:ro
      - ../rabbitmq/part_plugins:/etc/rabbitmq/enabled_plugins:ro
    depends_on:
      prepare: { condition: service_completed_successfully }
    healthcheck:
      test: [CMD, rabbitmq-diagnostics, -q, check_port_connectivity]
      interval: 10s
      timeout: 10s
      retries: 12

  mongodb:
    image: mongo:7.0
    restart: unless-stopped
    command: [mongod, --replSet, viisikko, --bind_ip_all]
    networks: [store]
    volumes:
      - mongodb:/data/db
    healthcheck:
      # The first check makes the replica set; every later one asks whether it has a primary.
      test:
        - CMD
        - mongosh
        - --quiet
        - --eval
        - |
          try { rs.status() } catch (e) { rs.initiate({_id: 'viisikko', members: [{_id: 0, host: 'mongodb:27017'}]}) }
          if (!db.hello().isWritablePrimary) { quit(1) }
      interval: 5s
      timeout: 10s
      retries: 24
""")

_SETTINGS = {"notify": "[*settings, *mail]", "catalogue": "[*settings, *copy]"}
_SERVICE = Template("""
  $code-$service:
    <<: *service
    build: { context: ../.., dockerfile: services/$service/Dockerfile }
    environment: { <<: $settings }
    networks: [$networks]
    ports: ["127.0.0.1:$port:8000"]
""")

_TAIL = Template("""
  operator:
    <<: *service
    restart: "no"
    profiles: [operator]
    build: { context: ../.., dockerfile: deploy/console/Dockerfile }
    networks: [broker]
    environment: { VIISIKKO_FOLDER: /secrets, VIISIKKO_NETWORK: /package/network.toml }
    volumes:
      - secrets:/secrets
      - $${VIISIKKO_PACKAGE:?say where the package of viisikko join is}:/package:ro

  doctor:
    <<: *service
    restart: "no"
    profiles: [doctor]
    build: { context: ../.., dockerfile: deploy/console/Dockerfile }
    command: [doctor]
    networks: [broker, store, outside]
    # It looks at a broker and a store that are ill, too.
    depends_on:
      prepare: { condition: service_completed_successfully }
    environment:
      VIISIKKO_ORGANISATION: $code
      VIISIKKO_NETWORK: /package/network.toml
      VIISIKKO_HUB_URI_FILE: /package/hub-uri
      VIISIKKO_TLS_CA: /package/ca.pem
      VIISIKKO_MANAGEMENT_URI_FILE: /secrets/management-uri
      VIISIKKO_MONGO_URI: mongodb://mongodb:27017/?replicaSet=viisikko
      VIISIKKO_SMTP_URI: $${VIISIKKO_SMTP_URI:?say where your mail server is, such as smtp://mail.example:25}

networks:
  broker: {}
  store: { internal: true }
  outside: {}

volumes:
  secrets: {}
  definitions: {}
  rabbitmq: {}
  mongodb: {}
""")


def parts(network: Network) -> Sequence[str]:
    """Who has such a file: who runs services and is not the hub. A member that moves out finds its file ready."""
    return [code for code, o in network.organisations.items() if o.runs and code != network.hub]


def own_part(organisation: Organisation) -> str:
    """The file of one organisation."""
    code = organisation.code
    services = [
        _SERVICE.substitute(
            code=code,
            service=service,
            settings=_SETTINGS.get(service, "*settings"),
            networks="broker, store, outside" if service in _SETTINGS else "broker, store",
            port=FIRST_PORT + number,
        )
        for number, service in enumerate(organisation.runs)
    ]
    name = organisation.names.get("en") or organisation.names["fi"]
    return "".join((_HEAD.substitute(code=code, name=name), *services, _TAIL.substitute(code=code)))
