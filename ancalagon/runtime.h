// The runtime folder of one config: control socket, lock, engine sockets. Server and commands find
// each other by it.
#pragma once

// $RUNTIME/ancalagon/<16 hex of the absolute config path's hash>; the caller's.
char *runtime_dir_for(const char *absolute_config_path);
