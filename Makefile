# One command each. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Read when a recipe runs, which is after bootstrap has written it.
SWIFT = $(shell sed -n 's/^SWIFT := //p' .collapse/env.mk)
SWIFT_FLAGS ?=

.PHONY: demo build test check test-slurm test-workers sanitize fuzz docs examples benchmark clean distclean help bootstrap nvrtc

demo: build ## Train a small network, and draw and explain what its last layer does
	.build/release/collapse demo

build: bootstrap ## Build the programs (optimised) into .build/release
	$(SWIFT) build -c release $(SWIFT_FLAGS)

test: bootstrap ## Run the tests, and two minutes of injected faults
	$(SWIFT) test $(SWIFT_FLAGS)
	scripts/campaign --minutes 2 --seed 1 --program .build/debug/collapse

check: export COLLAPSE_STRICT := 1
check: SWIFT_FLAGS += --explicit-target-dependency-import-check error
check: bootstrap nvrtc ## Check format and imports, build with warnings as errors, run the tests, docs, examples and sanitizers
	$(SWIFT) format lint --strict --recursive Sources Tests Examples Package.swift
	$(SWIFT) build --build-tests $(SWIFT_FLAGS)
	$(MAKE) test SWIFT_FLAGS="$(SWIFT_FLAGS)"
	$(MAKE) docs examples sanitize SWIFT_FLAGS="$(SWIFT_FLAGS)"

test-slurm: bootstrap ## Try sweeps on a real Slurm, started on this host for the purpose, if one is installed
	$(SWIFT) build $(SWIFT_FLAGS)
	@Tests/Slurm/run --program .build/debug/collapse || { status=$$?; [ $$status = 77 ] || exit $$status; }

test-workers: bootstrap ## Try one run on many workers: torchrun, failures, hosts played by network namespaces
	$(SWIFT) build $(SWIFT_FLAGS)
	@Tests/Workers/run --program .build/debug/collapse || { status=$$?; [ $$status = 77 ] || exit $$status; }

sanitize: bootstrap ## Run the kernels, the allocator and the interface to libtorch under sanitizers
	@Tests/Sanitizers/run || { status=$$?; [ $$status = 77 ] || exit $$status; }

fuzz: bootstrap ## Give the parsers inputs that a fuzzer makes (FUZZ_FLAGS; scripts/fuzz --help)
	scripts/fuzz $(FUZZ_FLAGS)

docs: bootstrap ## Make the documentation of the libraries in .build/docs
	$(SWIFT) build $(SWIFT_FLAGS)
	scripts/docs

examples: bootstrap ## Build and run the packages in Examples, which use this one
	$(SWIFT) run --package-path Examples/Measure --scratch-path .build/examples measure-features >/dev/null
	$(SWIFT) run --package-path Examples/Train --scratch-path .build/examples train-loop >/dev/null

benchmark: build ## Compare speed and memory with other systems
	Benchmarks/run

clean: ## Remove what was built
	rm -rf .build

distclean: clean ## Remove also what bootstrap installed
	rm -rf .collapse

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

bootstrap:
	@scripts/bootstrap

# To see whether the CUDA kernels compile; on machines with PyTorch's CUDA build it is there.
nvrtc: bootstrap
	@scripts/nvrtc
