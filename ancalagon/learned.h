// What a server knows from earlier runs (how long each preset takes to load), kept in the state
// folder so that the first progress bar of the day is already right.
#pragma once

struct server;

void learned_load(struct server *server);
void learned_save(struct server *server);
// What engines took (memory_store.h), when there is news: in a thread, for a disk may be slow.
void learned_write(struct server *server);
