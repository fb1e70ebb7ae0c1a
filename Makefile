# The one front door. `make help` lists what is behind it.
SHELL := /bin/sh
.DEFAULT_GOAL := help

NODE ?= node
# Programs that the tests drive and that npm does not bring, as Debian names them.
PEERS := kamailio kamailio-presence-modules kamailio-xml-modules kamailio-sqlite-modules kamailio-outbound-modules \
         kamailio-tls-modules openssl mosquitto mosquitto-clients sip-tester baresip-core socat libxml2-utils iproute2 \
         python3
PEER_PROGRAMS := kamailio openssl mosquitto mosquitto_pub sipp baresip socat xmllint ip python3

.PHONY: help run test unit check bench fuzz soak coverage build tiny-sip docs peers clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

node_modules/.installed: package.json package-lock.json src/tiny-sip/package.json
	@command -v $(NODE) >/dev/null || { echo "Node.js 20 or newer is needed" >&2; exit 69; }
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build: dist/presentity ## build the bundle into dist/
SOURCES := $(shell find src targets test/demo -type f \( -name '*.ts' -o -name '*.mjs' -o -name '*.sh' -o -name '*.flags' \) 2>/dev/null)
dist/presentity: node_modules/.installed $(SOURCES)
	@npm run --silent build

tiny-sip: node_modules/.installed ## build tiny-sip as its users get it, build/tiny-sip-*.tgz
	@npm run --silent tiny-sip

docs: node_modules/.installed ## describe the public face of tiny-sip in build/api
	@npm run --silent docs

run: build ## start the demo: edge, broker, devices, agent and a watcher on loopback
	@dist/presentity demo

peers: ## install the programs that the tests drive
	@missing=; for program in $(PEER_PROGRAMS); do command -v $$program >/dev/null 2>&1 || missing="$$missing $$program"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing what the tests drive:$$missing"; \
	  (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PEERS)) >peers.log 2>&1 \
	    || { tail -5 peers.log; echo "could not install them all; the tests say which are missing"; }; \
	else \
	  echo "not installed:$$missing"; \
	  echo "to run the tests that need them: sudo apt-get install $(PEERS)"; \
	fi

check: node_modules/.installed ## types, style and the documentation of what tiny-sip exports
	@npx --no-install tsc --noEmit -p .
	@npx --no-install biome check --log-level=warn .
	@npm run --silent docs -- --emit none

test: node_modules/.installed peers check build ## install what is needed and run all tests
	@$(NODE) --import tsx test/support/run.ts

unit: node_modules/.installed ## run the tests whose path holds one of WORDS="…"
	@$(NODE) --import tsx test/support/run.ts $(WORDS)

coverage: node_modules/.installed peers build ## all tests, then a coverage report in coverage/
	@npx --no-install c8 --include 'src/**' --reporter text --reporter html $(NODE) --import tsx test/support/run.ts

bench: build ## measure speed and memory, as ratios within one run
	@$(NODE) --import tsx test/bench/run.ts

fuzz: node_modules/.installed ## a million mutated messages through a running stack (FUZZ_MESSAGES, FUZZ_SECONDS, FUZZ_SEED)
	@$(NODE) --import tsx --expose-gc test/fuzz/run.ts

soak: node_modules/.installed ## the tests of the stack again, with each write, connection and DNS answer failing in turn
	@$(NODE) --import tsx test/support/soak.ts all $(WORDS)
	@SOAK=1 $(NODE) --import tsx test/support/run.ts tiny-sip/failure tiny-sip/lean

clean: ## remove what was built
	rm -rf dist build coverage peers.log
