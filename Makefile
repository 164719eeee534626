# Kanava's tasks. Needs Go, git and a POSIX shell; "lint", "race", "ts",
# "browser", "peers", "aws", "azure" and "e2e" say below what else. CI runs the same targets, see .ci/run.

GO        ?= go
TESTFLAGS ?=
FUZZTIME  ?= 30s
FUZZ      ?= .
SOAKTIME  ?= 20s
CHROMIUM  ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome))

NGINX_PATH ?= $(firstword $(wildcard /usr/sbin/nginx) nginx)
# Debian's Python, which sees Debian's packages.
PYTHON     ?= $(firstword $(wildcard /usr/bin/python3) python3)

# The directories of all modules, the root first: those of the workspace, and
# the tests with foreign programs, which "go test work" is not to run.
PEERS   = $(CURDIR)/internal/peertest
E2E     = $(CURDIR)/e2e
MODULES = $$($(GO) list -m -f '{{.Dir}}') $(PEERS) $(E2E)

# The clients that have to survive the scenario of faults.
SURVIVORS ?= go,gosse,node,nodesse,node20,bun,deno,chromium
LINTER  = $(CURDIR)/bin/golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: test
test: ## Test every module; needs nothing but Go (TESTFLAGS='-v -run X')
	$(strip $(GO) test $(TESTFLAGS) work)

# Tests of engines that need a server where there is none skip themselves in
# "make test", and say "make engines". Here they fail.
ENGINES = $(patsubst %/go.mod,./%/...,$(wildcard engine/*/go.mod))

.PHONY: engines
engines: ## Tests of the engines with real servers, also those in which servers die; needs Redis, PostgreSQL, Node and npm
	cd engine/dynamodb/testdata/dynalite && npm ci --no-audit --no-fund
	$(strip KANAVA_ENGINES=all $(GO) test -tags=faults -timeout=15m $(TESTFLAGS) ./engine/... $(ENGINES))

.PHONY: bench-engines
bench-engines: ## What an event and a topic cost through each engine, beside its client alone and, with Redis, Centrifuge
	$(GO) test -run '^$$' -bench . $(ENGINES)
	cd bench/peers && GOWORK=off $(GO) test -run '^$$' -bench . ./redis

# Tests that only run the go command, and look at what it says: the race detector
# would see nothing of the programs.
PROGRAMS = -e /docs/guide$$ -e /internal/consumertest$$ -e /internal/refusedtest$$

.PHONY: race
race: ## The tests under the race detector, shuffled; needs a C compiler
	$(strip all=$$($(GO) list work) && $(GO) test -race -shuffle=on $(TESTFLAGS) $$(echo "$$all" | grep -v $(PROGRAMS)))

.PHONY: jsonv2
jsonv2: ## The tests with Go's own json/v2, which the mirror stands for
	$(strip GOEXPERIMENT=jsonv2 $(GO) test $(TESTFLAGS) work)

.PHONY: vet
vet: ## go vet for every module
	$(GO) vet work

.PHONY: lint
lint: bin/golangci-lint ## golangci-lint, pinned in tools/go.mod and built from there
	@set -e; for dir in $(MODULES); do echo "lint $$dir"; (cd "$$dir" && GOWORK=off "$(LINTER)" run --allow-parallel-runners ./...); done

.PHONY: fmt
fmt: bin/golangci-lint ## Format all Go code (gofumpt, grouped imports)
	@set -e; for dir in $(MODULES); do (cd "$$dir" && GOWORK=off "$(LINTER)" fmt ./...); done

# Built again when its version changes, and not before. The first build takes
# some minutes on a small machine.
bin/golangci-lint: tools/go.mod tools/go.sum
	@echo "build $@"
	@cd tools && GOWORK=off $(GO) build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: build-alone
build-alone: ## Every module builds with GOWORK=off, as its users get it, and is tidy
	@set -e; for dir in $(MODULES); do \
		echo "build alone $$dir"; \
		(cd "$$dir" && GOWORK=off $(GO) build -o /dev/null ./... && GOWORK=off $(GO) vet ./... && GOWORK=off $(GO) mod tidy -diff); \
	done
	@if grep -n '^replace' go.mod; then echo "go.mod: a replace in the root module breaks go install ...@version" >&2; exit 1; fi

.PHONY: tidy
tidy: ## go mod tidy in every module, as build-alone demands it
	@set -e; for dir in $(MODULES); do echo "tidy $$dir"; (cd "$$dir" && GOWORK=off $(GO) mod tidy); done

.PHONY: bench-validate
bench-validate: ## Compare validation with other libraries; prints a table
	$(GO) run ./bench/validate

.PHONY: bench
bench: ## Kanava beside other servers under the same load: table and plot; needs Linux, cc, Node, npm
	$(GO) run ./bench/compare

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s); FUZZ=FuzzName for some
	@set -e; found=; pkgs=$$($(GO) list work); for pkg in $$pkgs; do \
		names=$$($(GO) test -list '^Fuzz' "$$pkg"); \
		for name in $$(echo "$$names" | grep '^Fuzz' | grep -e '$(FUZZ)'); do \
			found=1; echo "fuzz $$pkg $$name for $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime '$(FUZZTIME)' -fuzzminimizetime 1s "$$pkg"; \
		done; \
	done; \
	test -n "$$found" || { echo "make fuzz: no fuzz target is called $(FUZZ)" >&2; exit 1; }

.PHONY: soak
soak: ## Random traffic for SOAKTIME (20s), then look for what is left over
	$(GO) build -o bin/soak ./internal/soak
	bin/soak -time '$(SOAKTIME)'

.PHONY: crowd
crowd: ## 19,000 connections, half of them dropping at once, three times; needs Linux and 20,000 open files a process
	$(strip $(GO) test -count=1 -run '^TestCrowd$$' $(TESTFLAGS) ./transport/ws -crowd 19000)

.PHONY: browser
browser: ## Browser tests of the examples; needs Node, npm and Chromium
	@command -v node >/dev/null || { echo "make browser: needs Node 20 or newer" >&2; exit 1; }
	@test -n "$(CHROMIUM)" || { echo "make browser: no Chromium found; install Debian's package chromium, or set CHROMIUM=path" >&2; exit 1; }
	cd examples/chat/browser && npm ci --no-audit --no-fund && CHROMIUM="$(CHROMIUM)" node --test

.PHONY: ts
ts: ## TypeScript: generated clients compile, run-time's tests, size; needs Node 20 and npm
	@node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || { echo "make ts: needs Node 20 or newer" >&2; exit 1; }
	cd clients/ts && npm ci --no-audit --no-fund && npm run check && npm test

.PHONY: gen
gen: ## Write the generated clients again; GENFLAGS=--check fails if one is stale
	$(GO) run ./cmd/kanava gen js ./examples/chat -o examples/chat/page/kanava.js $(GENFLAGS)
	$(GO) run ./cmd/kanava gen js ./examples/jobs -o examples/jobs/page/kanava.js $(GENFLAGS)
	$(GO) run ./cmd/kanava gen js ./examples/cluster -o examples/cluster/page/kanava.js $(GENFLAGS)
	$(GO) run ./cmd/kanava gen go ./examples/chat -o e2e/chatclient/client.go $(GENFLAGS)

.PHONY: stale
stale: ## Generated clients are what "make gen" would write
	@$(MAKE) --no-print-directory gen GENFLAGS=--check

.PHONY: peers
peers: ## Tests with nginx, with autobahn, a WebSocket library for Python, and with Chromium
	@command -v "$(NGINX_PATH)" >/dev/null || { echo "make peers: needs nginx; install Debian's package nginx-light, or set NGINX_PATH" >&2; exit 1; }
	@"$(PYTHON)" -c 'import autobahn.twisted.websocket' || { echo "make peers: needs autobahn with Twisted; install Debian's package python3-autobahn, or set PYTHON to a Python that has them" >&2; exit 1; }
	@test -n "$(CHROMIUM)" || { echo "make peers: no Chromium found; install Debian's package chromium, or set CHROMIUM=path" >&2; exit 1; }
	$(strip cd $(PEERS) && export GOWORK=off NGINX_PATH="$(NGINX_PATH)" PYTHON="$(PYTHON)" CHROMIUM="$(CHROMIUM)" && \
		all=$$($(GO) list ./...) && $(GO) test $(TESTFLAGS) $$(echo "$$all" | grep -v -e /peertest/aws/ -e /peertest/webpubsub))

.PHONY: aws
aws: ## Tests with two emulators of API Gateway and one of DynamoDB; needs Node 20, npm and ps
	@node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || { echo "make aws: needs Node 20 or newer" >&2; exit 1; }
	cd $(PEERS)/aws/emulate/js && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(strip cd $(PEERS) && GOWORK=off $(GO) test -timeout 15m $(TESTFLAGS) ./aws/...)

.PHONY: azure
azure: ## Tests with Microsoft's packages for Azure Web PubSub; needs Node 20 and npm
	@node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || { echo "make azure: needs Node 20 or newer" >&2; exit 1; }
	cd $(PEERS)/webpubsub/js && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(strip cd $(PEERS) && GOWORK=off $(GO) test $(TESTFLAGS) ./webpubsub/...)

.PHONY: e2e
e2e: ## Clients through cuts, kills, black holes and expiring sessions; needs Node, npm and Chromium
	@test -n "$(CHROMIUM)" || { echo "make e2e: no Chromium found; install Debian's package chromium, or set CHROMIUM=path" >&2; exit 1; }
	cd e2e/js && npm ci --no-audit --no-fund
	$(strip cd $(E2E) && GOWORK=off KANAVA_E2E='$(SURVIVORS)' CHROMIUM="$(CHROMIUM)" $(GO) test -timeout 15m $(TESTFLAGS) ./...)

# Some code differs by system and processor, above all that of sockets.
PLATFORMS ?= linux/amd64 linux/arm64 linux/386 linux/arm darwin/arm64 windows/amd64 freebsd/amd64 js/wasm

.PHONY: cross
cross: ## Build and vet what differs by system and processor (PLATFORMS='linux/arm64')
	@for p in $(PLATFORMS); do echo $$p; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./internal/poll ./transport/ws || exit 1; done

.PHONY: check
check: test engines jsonv2 vet cross lint build-alone stale race ts browser peers aws azure e2e soak crowd ## Everything that CI checks

.PHONY: run-chat
run-chat: ## Run the chat example on http://localhost:3000
	$(GO) run ./examples/chat
