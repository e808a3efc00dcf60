# Longline. `make demo` and `make test` set everything up themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv/bin
# Two cores and a noisy neighbour are what the tests are made for.
CARGO_TEST := cargo test --workspace --locked
COMMA := ,
PYTEST := $(VENV)/python -m pytest

.PHONY: help setup setup-test demo test test-rust test-unit e2e chaos chaos-streams check format bench bench-agent bench-agent-barge-in bench-agent-clinic bench-agent-share bench-build bench-load bench-micro bench-polling bench-quality bench-rest bench-signalling fuzz fuzz-api docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup:  ## everything that `longline serve` needs, in .venv (does only what is missing)
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh --test

demo:  ## a caller books an appointment with a voice agent, offline: the conversation, how long each answer took, a timeline (JSON=1: as JSON; SEED=)
	@start=$$SECONDS; scripts/setup.sh && $(VENV)/longline demo $(if $(JSON),--json) $(if $(SEED),--seed $(SEED)) && \
	  $(if $(JSON),true,printf 'make demo took %d s\n' $$((SECONDS - start)))

test: setup-test  ## every test: Rust, Python units, conformance, and calls with real phones
	@start=$$SECONDS; \
	  $(MAKE) --no-print-directory test-rust test-unit e2e && printf 'make test took %d s\n' $$((SECONDS - start))

test-rust:
	@$(CARGO_TEST)

test-unit:
	@$(PYTEST) -q -n 2 --dist worksteal tests/unit tests/conformance

e2e: setup-test  ## calls with baresip, SIPp, Kamailio, and clients of every dialect
	@$(PYTEST) -q -n 2 --dist worksteal tests/e2e tests/chaos

chaos: setup-test  ## `longline serve` killed at 200 random points under load: is a webhook lost, or an event without its call? 15 minutes (KILLS=)
	@$(VENV)/python -m tests.chaos.kills $(or $(KILLS),200)

chaos-streams: setup-test  ## 200 breaks of the sockets of 100 calls, in five ways, and an outage of 10 s: is a frame lost, heard twice, or heard by another? 3 minutes (BREAKS= CALLS= SEED=)
	@$(VENV)/python -m tests.chaos.streams $(or $(BREAKS),200) $(if $(CALLS),--calls $(CALLS)) $(if $(SEED),--seed $(SEED))

check: setup  ## formatting, lints, types and import contracts, in both languages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache

format:  ## format both languages
	cargo fmt --all
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix-only .

bench: setup bench-build  ## a first look, 1 and 100 calls in one dialect, beside the floor; then WebSocket beside HTTP polling: 3 minutes; figures in bench/results
	@target/release/longline-bench --calls $(or $(CALLS),1$(COMMA)100) --dialects teler --output bench/results/bench.jsonl
	@$(VENV)/python bench/polling/polling.py

bench-polling: setup bench-build  ## 20 ms chunks over a WebSocket and by HTTP polling: delay, CPU, bytes: 2 minutes (CALLS= SECONDS_EACH= TURNS=)
	@$(VENV)/python bench/polling/polling.py $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH)) $(if $(TURNS),--turns $(TURNS))

bench-agent: setup bench-build  ## calls per core and memory per call of an agent process, beside a pipecat bot in the same run: 2 minutes (CALLS= SECONDS_EACH= ONLY=)
	@scripts/setup.sh --clients
	@$(VENV)/python bench/agent/concurrency.py $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH)) $(if $(ONLY),--only "$(ONLY)")

bench-agent-clinic: setup  ## seeded callers book appointments with the clinic of the examples, by ear: how many get what they want: half a minute a call (CALLS=10 SEED=1)
	@$(VENV)/python bench/agent/clinic.py $(if $(CALLS),--calls $(CALLS)) $(if $(SEED),--seed $(SEED))

bench-agent-share: setup  ## the platform's share of an agent's answer, on the wire, with providers that take no time: 2 minutes (CALLS= TURNS= ENDPOINTING_MS=)
	@$(VENV)/python bench/agent/share.py $(if $(CALLS),--calls $(CALLS)) $(if $(TURNS),--turns $(TURNS)) $(if $(ENDPOINTING_MS),--endpointing-ms $(ENDPOINTING_MS))

bench-rest: setup  ## REST: requests a second per core and p99 of create, get and list, with 100,000 calls in the table: 5 minutes (REQUESTS= TURNS= MANY=)
	@$(VENV)/python bench/rest/rest.py $(if $(REQUESTS),--requests $(REQUESTS)) $(if $(TURNS),--turns $(TURNS)) $(if $(MANY),--many $(MANY))

bench-load: setup bench-build  ## cost, memory, loss and delay of 100 to 2,000 calls in every dialect, beside the floor: 7 minutes
	@target/release/longline-bench $(if $(CALLS),--calls $(CALLS)) $(if $(DIALECTS),--dialects $(DIALECTS)) $(if $(TURNS),--turns $(TURNS))

bench-signalling: setup-test  ## calls a second per core, set-up time, memory of an idle call and its end, SIPp on the other side: 3 minutes (CALLS= RATE= IDLE= IDLE_RATE=)
	@$(VENV)/python bench/signalling/signalling.py $(if $(CALLS),--calls $(CALLS)) $(if $(RATE),--rate $(RATE)) $(if $(IDLE),--idle $(IDLE)) $(if $(IDLE_RATE),--idle-rate $(IDLE_RATE))

bench-agent-barge-in: setup  ## interruptions of an agent, first voiced sample to silence on the wire, and false ones: 10 minutes (INTERRUPTIONS= CALLS= SECONDS_EACH= MINUTES= SEED= SILERO=)
	@$(VENV)/python bench/agent/barge_in.py $(if $(INTERRUPTIONS),--interruptions $(INTERRUPTIONS)) $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SILERO),--silero $(SILERO)) $(if $(SEED),--seed $(SEED))

bench-micro: setup  ## what one frame costs the engine alone, and its parts: each dialect, resampler, base64, JSON, detectors, beside a bare copy: half a minute
	@cargo run --quiet --release --locked -p longline-micro

bench-build:
	@cargo build --quiet --release --locked -p longline-media -p longline-bench -p longline-floor

bench-quality:  ## PESQ of speech through bad networks, beside other receivers (QUICK=1: a few rows); bench/results/quality.jsonl
	@scripts/setup.sh --quality
	@cargo build --quiet --release --locked -p longline-quality
	@.setup/quality/bin/python bench/quality/quality.py $(if $(QUICK),--quick)

fuzz: setup  ## fuzz the parsers of what strangers send, on stable Rust (TARGET=rtp SECONDS=60; all in turn by default)
	@scripts/fuzz.sh $(or $(TARGET),all) $(or $(SECONDS),60)

fuzz-api: setup-test  ## schemathesis asks a node for all that its OpenAPI document allows, and more (EXAMPLES=500 SEED=1)
	@FUZZ_API_EXAMPLES=$(or $(EXAMPLES),500) FUZZ_API_SEED=$(or $(SEED),1) $(PYTEST) -q -s tests/e2e/test_openapi.py

docs: setup  ## the reference pages that are made from the code
	$(VENV)/python -m longline.base.config_table > docs/reference/configuration.md
	$(VENV)/python -m longline.flows.schema > docs/reference/flows.md
	$(VENV)/python -m longline.streamkit.schema > docs/reference/longline-v1.schema.json

clean:  ## remove everything that was built
	rm -rf target .venv .venv-clients .setup dist demo-output
