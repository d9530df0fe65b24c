// Whom a share knows us as: a file as mount.cifs(8) has it, which nobody else may read.
//
//   username=leitor
//   password=...
//   domain=EMPRESA
#pragma once

#include "share.h"

struct share_login {
    char *user, *password, *workgroup; // never NULL once it was read
};

// A share without such a file is entered as a guest. ERR_DENIED: others can read it.
bool share_login_read(const struct share *share, struct share_login *login, struct err *err);
void share_login_fini(struct share_login *login);
