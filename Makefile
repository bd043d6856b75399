EXTENSION   = pgcredit
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
MODULE_big  = $(EXTENSION)

# Rooms in reading order; sql/NN_room.sql has the same order by its number.
ROOMS = core crypto identity audit registry consent rating target
PARTS = $(sort $(wildcard sql/[0-9][0-9]_*.sql))
# Whose SHA-256 the server takes: openssl, or sodium, which is slower.
SHA256 = openssl
OBJS  = src/$(EXTENSION).o $(filter-out $(OTHER_SHA256),$(patsubst %.c,%.o,$(foreach r,$(ROOMS),$(sort $(wildcard src/$(r)/*.c)))))
OTHER_SHA256 = $(patsubst %,src/crypto/sha256_%_kernel.o,$(filter-out $(SHA256),openssl sodium))

DATA        = $(wildcard sql/$(EXTENSION)--*.sql)
DATA_built  = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = $(DATA_built) results output_iso regression.diffs regression.out tmp_check bin $(VERIFY_OBJS) $(VERIFY_KERNEL) $(OTHER_SHA256)
PG_CPPFLAGS = -I$(srcdir)/src -DPGCREDIT_VERSION='"$(EXTVERSION)"'
SHLIB_LINK  = -lsodium $(if $(filter openssl,$(SHA256)),-lcrypto)

# The verifier is for people without a server: kernels and libsodium, nothing else.
VERIFY        = bin/pgcredit-verify
VERIFY_OBJS   = $(patsubst %.c,%.o,$(sort $(wildcard src/bin/*.c)))
VERIFY_KERNEL = $(patsubst %,src/crypto/%_kernel.o,crypto merkle note sha256_sodium)

# A test is a file in its folder: what is there is run, so none can be forgotten.
REGRESS        = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --inputdir=test
ISOLATION      = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.
TAP_TESTS      = 1
PROVE_TESTS    = test/t/*.pl

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error PGXS is missing: install postgresql-server-dev-NN (Debian) or your distribution's server headers, or set PG_CONFIG)
endif
include $(PGXS)

# Sums of products over many columns.
src/rating/fit_kernel.o: CFLAGS += $(CFLAGS_VECTORIZE)

# PGXS tracks no header dependencies.
$(OBJS) $(VERIFY_OBJS) $(VERIFY_KERNEL): $(wildcard src/*.h src/*/*.h)

$(DATA_built): $(PARTS) $(EXTENSION).control
	cat $(PARTS) > $@

$(VERIFY): $(VERIFY_OBJS) $(VERIFY_KERNEL)
	$(MKDIR_P) bin
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDFLAGS_EX) -lsodium -o $@

all: $(VERIFY)

install: install-verify
uninstall: uninstall-verify

.PHONY: install-verify uninstall-verify
install-verify: $(VERIFY)
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) $(VERIFY) '$(DESTDIR)$(bindir)/pgcredit-verify'

uninstall-verify:
	rm -f '$(DESTDIR)$(bindir)/pgcredit-verify'
