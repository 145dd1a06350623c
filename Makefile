# hallmark: one non-recursive Makefile. A variant is another BUILD folder and CFLAGS.
#   make all | demo | test | asan | tsan | tidy | fuzz | crash | soak | bench | install | clean
#   deps | deps-test | deps-cuda | cuda | cuda-lines | gpu-check
MAKEFLAGS += -r --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

BUILD   ?= build
PREFIX  ?= /usr/local
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
ifeq ($(origin CXX),default)
CXX     := $(if $(findstring clang,$(CC)),clang++,g++)
endif
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -I. $(WARN) -fno-strict-aliasing -ffp-contract=off -fstack-protector-strong \
          -ffile-prefix-map=$(CURDIR)=. -pthread $(CFLAGS)
CXXFLAGS_ALL = $(filter-out -std=c17 -Wstrict-prototypes -Wmissing-prototypes,$(ALL_CFLAGS)) -std=c++17 -fPIC \
          -fvisibility=hidden -Wno-unknown-pragmas -Itests/emulator
CRITERION ?= -lcriterion
LIBS    := -lcurl -larchive -lsqlite3 -lpcre2-8 -ljansson -lutf8proc -lyaml -lsodium -lssl -lcrypto -lm -lpthread

ifndef V
Q := @
endif
# Lower rooms first; a room may use only those before it (the law proper is .ci/layers.txt).
ROOMS   := base net kernels model tokenizer template grammar reply engine forks filters policy signing audit registry api access flow serve lab server cli
obj      = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))
lib      = $(BUILD)/lib/lib$(1).a
upto     = $(foreach r,$(ROOMS),$(if $(done),,$(call lib,$(r)))$(if $(filter $(1),$(r)),$(eval done := y)))$(eval done :=)
ARCHIVES := $(foreach r,$(ROOMS),$(call lib,$(r)))
TESTED  := $(patsubst tests/%/,%,$(dir $(wildcard tests/*/test_*.c)))
TESTED  := $(sort $(TESTED))
TEST_BINS := $(TESTED:%=$(BUILD)/test/%)
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

.PHONY: all demo test asan tsan tidy fuzz crash soak bench install clean deps deps-test check tests-built \
  deps-cuda cuda cuda-lines gpu-check install-files
all: $(BUILD)/hallmark

$(BUILD)/stamp/deps: .ci/packages.txt .ci/deps
	@mkdir -p $(@D) && .ci/deps .ci/packages.txt && touch $@
deps: $(BUILD)/stamp/deps
deps-test: $(BUILD)/stamp/deps
	@.ci/deps-test $(BUILD)

# A change of compiler or flags rebuilds everything.
$(BUILD)/stamp/flags: FORCE | $(BUILD)/stamp/deps
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@
.PHONY: FORCE # .SECONDARY makes every file intermediate, and one that is missing forces nothing
FORCE:

# The digest of all sources, which base/build.c carries. The stamp moves only when it is another.
SOURCES := $(sort Makefile $(foreach r,$(ROOMS),$(wildcard $(r)/*.c $(r)/*.h $(r)/*.inc $(r)/*.cu $(r)/*.awk)) \
  $(wildcard policy/packs/*) policy/measured.txt)
$(BUILD)/stamp/sources: FORCE
	@mkdir -p $(@D); sha256sum $(SOURCES) | sha256sum | cut -c1-64 >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(BUILD)/obj/base/build.o: $(BUILD)/stamp/sources
$(BUILD)/obj/base/build.o: DEFINED = -DBUILD_SOURCES=$(file <$(BUILD)/stamp/sources)

# Instruction sets are chosen by file.
%_avx2.o:   SIMD := -mavx2 -mfma -mf16c
%_avx512.o: SIMD := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c
%_vnni.o:   SIMD := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c
%_bf16.o:   SIMD := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mavx2 -mfma -mf16c
%_avxvnni.o: SIMD := -mavxvnni -mavx2 -mfma -mf16c
$(BUILD)/obj/%.o: %.c $(BUILD)/stamp/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo "  cc $<")
	$(Q)$(CC) $(ALL_CFLAGS) $(SIMD) $(DEFINED) -MMD -MP -c $< -o $@

define room_rule
$(call lib,$(1)): $(call obj,$(1))
	@mkdir -p $$(@D); rm -f $$@; ar rcsD $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))
# Built-in packs are data: policy/packs/, compiled in as texts; so are the measured shares of detectors. The
# folder counts too: a file may go.
$(BUILD)/obj/packs.o: policy/packs.awk policy/packs/packs.txt policy/packs $(wildcard policy/packs/*)
$(BUILD)/obj/measured.o: policy/measured.awk policy/measured.txt
$(BUILD)/obj/packs.o $(BUILD)/obj/measured.o: policy/rules.h $(BUILD)/stamp/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo "  cc policy/$(basename $(@F))")
	$(Q)LC_ALL=C awk -f $(wordlist 1,2,$(filter %.awk %.txt,$^)) >$(@:.o=.c) && $(CC) $(ALL_CFLAGS) -c $(@:.o=.c) -o $@
$(call lib,policy): $(BUILD)/obj/packs.o $(BUILD)/obj/measured.o

$(BUILD)/hallmark: $(ARCHIVES)
	$(if $(Q),@echo "  link $@")
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(LIBS)

# Of tests/shared a binary is linked with what its tests include, and with what that includes.
INCLUDED := $(shell grep -Ho 'tests/shared/[a-z]*\.h' tests/*/*.[ch] | sed 's/h$$/o/')
included = $(sort $(foreach i,$(filter $(1),$(INCLUDED)),$(BUILD)/obj/$(lastword $(subst :, ,$(i)))))
shared   = $(call included,$(1) $(patsubst $(BUILD)/obj/%.o,%.%,$(call included,$(1))))
define test_rule
$(BUILD)/test/$(1): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/$(1)/*.c)) $(call shared,tests/$(1)/%) $(filter %.o,$(CRITERION)) $(call upto,$(1))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(filter-out %.o,$(CRITERION)) $$(LIBS)
endef
$(foreach r,$(TESTED),$(eval $(call test_rule,$(r))))

# Every kernels/*.cu on the host: tests/emulator stands in for the GPU, and the library for CUDA's.
EMULATED := $(patsubst %,$(BUILD)/emulator/%.so,libhallmark_cuda libfaults libplain libcublas)
$(BUILD)/obj/%.cu.o: %.cu $(BUILD)/stamp/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo "  c++ $<")
	$(Q)$(CXX) -x c++ $(CXXFLAGS_ALL) -fsanitize=alignment -MMD -MP -c $< -o $@
EMULATOR := $(patsubst %,$(BUILD)/obj/tests/emulator/%.cu.o,emulator fibers ptx races warpgroup)
$(BUILD)/emulator/libhallmark_cuda.so: $(patsubst %,$(BUILD)/obj/%.o,$(wildcard kernels/*.cu)) $(EMULATOR)
$(BUILD)/emulator/libfaults.so: $(BUILD)/obj/tests/emulator/faults.cu.o $(EMULATOR)
# In place of cuBLAS: products for the first of them, in an order of its own.
$(BUILD)/emulator/libcublas.so: tests/emulator/cublas.c $(BUILD)/stamp/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ $< -lm
# A second library: the operations as plain loops.
$(BUILD)/emulator/libplain.so: tests/emulator/plain_operations.c tests/emulator/plain_weights.h $(wildcard kernels/*.h) $(BUILD)/stamp/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-vla -Wno-unused-function -Wno-maybe-uninitialized -fPIC -fvisibility=hidden -shared -o $@ $< -lm
$(filter-out %/libplain.so %/libcublas.so,$(EMULATED)):
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS_ALL) -shared -o $@ $^
# Parity of operations (tests/gpu/parity.h): here on the emulator, in tests/gpu/check.c on a device.
$(BUILD)/test/engine: | $(EMULATED)
$(BUILD)/test/kernels: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/gpu/parity*.c)) | $(EMULATED)
$(BUILD)/test/engine: | $(EMULATED)
# What a GPU's engine shows on a machine without our packages: nothing but libc is shared.
$(BUILD)/gpu/engine: $(BUILD)/obj/tests/gpu/engine.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -Wl,--gc-sections -Wl,--start-group $(ARCHIVES) -Wl,--end-group -Wl,-Bstatic \
	  $(filter -lpcre2-8 -ljansson -lutf8proc -lyaml -lsodium -lcrypto,$(LIBS)) -Wl,-Bdynamic -lm -lpthread
tests-built: $(TEST_BINS) $(BUILD)/hallmark $(BUILD)/gpu/engine

# One room or one case: make test ROOM=audit, make test CASE=tests/cli/case_serve.py.
ifneq ($(ROOM)$(CASE),)
test: $(ROOM:%=$(BUILD)/test/%) $(BUILD)/hallmark $(if $(filter tests/gpu/%,$(CASE)),$(BUILD)/gpu/engine) deps-test
	@CASES="$(or $(CASE),none)" tests/run $(BUILD) $(ROOM)
else
test: tests-built deps-test
	@.ci/check $(BUILD)
	@tests/run $(BUILD) $(TESTED)
endif
asan:
	@$(MAKE) BUILD=build/asan CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" tests-built
	@SANITIZER=asan tests/run build/asan $(TESTED)
# Criterion crashes at start under ThreadSanitizer: tests/shim stands in. Only rooms whose tests use threads,
# and not those that only compare bits or permute blocks, in one thread, for many minutes; make tsan TSAN_SLOW=
# runs them too. Nor one that forks beside threads, which ThreadSanitizer cannot follow.
THREADED ?= base net access signing audit model engine filters flow serve server
TSAN_SLOW ?= chunks_threads_and_sets_give_the_same_bits long_prompts_across_passes_and_splits_give_the_same_bits \
  neighbours_in_the_batch_change_no_bit demo_samples_come_token_for_token length_ends_an_answer_and_the_context_too \
  flow_fork flow_fork_name
TSAN_FORKS = a_guest_undoes_what_was_left_and_not_what_is_under_way
tsan: ROOMS_HERE := $(filter $(THREADED),$(TESTED))
tsan:
	@$(MAKE) BUILD=build/tsan CFLAGS="-O1 -g -fsanitize=thread -Itests/shim" \
	  CRITERION=build/tsan/obj/tests/shim/criterion/criterion.o $(ROOMS_HERE:%=build/tsan/test/%)
	@SANITIZER=tsan SHIM_SKIP="$(TSAN_SLOW) $(TSAN_FORKS)" CASES=tests/house/case_shim.sh tests/run build/tsan $(ROOMS_HERE)
check:
	@.ci/check $(BUILD)
tidy: check
	@$(MAKE) BUILD=build/clang CC=clang CFLAGS="-O1 -g" all
	@.ci/tidy

# libFuzzer, ASan and UBSan; one binary per parser of untrusted bytes. FUZZ_SECONDS=60 make fuzz
fuzz:
	@$(MAKE) BUILD=build/fuzz CC=clang CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" fuzz-built
	@.ci/fuzz build/fuzz $(FUZZERS)
fuzz-built: $(FUZZERS:%=$(BUILD)/fuzz/%)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call shared,tests/fuzz/%) $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)

demo: $(BUILD)/hallmark
	@demo/run $(BUILD)
# KILLS=50 for a shorter run.
KILLS ?= 2000
crash: $(BUILD)/hallmark $(BUILD)/test/audit
	@tests/crash/run $(BUILD) all
	@tests/crash/streams $(BUILD)
	@tests/crash/load $(BUILD)
	@CRASH_KILLS=$(KILLS) $(BUILD)/test/audit --filter '*/kill_at_any_moment*'
bench: $(BENCHES) $(BUILD)/hallmark
	@for b in $(BENCHES); do $$b || exit 1; done
	@bench/serving.py $(BUILD)
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)
deps-cuda:
	@.ci/deps-cuda $(BUILD)
cuda: $(filter deps-cuda,$(MAKECMDGOALS))
	@.ci/cuda $(BUILD)
# Every line of the device's sources is executed by an emulated test, or is listed with the reason.
cuda-lines: $(BUILD)/test/kernels
	@.ci/cuda-lines $(BUILD)
gpu-check:
	@tests/gpu/run $(BUILD)
# A million cuts of each pack, the device's lines, and half an hour of everything on a server.
# SPLITS=10000000 for more.
SPLITS ?= 1000000
SOAK_SECONDS ?= 1800
soak: $(BUILD)/test/policy $(BUILD)/hallmark
	SPLITS=$(SPLITS) $(BUILD)/test/policy --short-filename -j2 --filter 'policy_splits/*'
	$(MAKE) cuda-lines
	tests/soak/serve $(BUILD) $(SOAK_SECONDS) bench/results/soak.md
install: $(BUILD)/hallmark install-files
install-files: # of what is built already
	install -D -m 755 $(BUILD)/hallmark $(DESTDIR)$(PREFIX)/bin/hallmark
	[ ! -f $(BUILD)/libhallmark_cuda.so ] || \
	  install -D -m 755 $(BUILD)/libhallmark_cuda.so $(DESTDIR)$(PREFIX)/lib/libhallmark_cuda.so
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/hallmark
	sed 's|/usr/local|$(PREFIX)|g' docs/hallmark.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/hallmark.service
	install -m 644 README.md docs/*.md $(DESTDIR)$(PREFIX)/share/doc/hallmark
clean:
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
