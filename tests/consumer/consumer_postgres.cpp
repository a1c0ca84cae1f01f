// SPDX-License-Identifier: MIT
//
// The same through the interface of C++: a copy that another handle finds.
#include <latchkey/latchkey.hpp>

#include <cstdio>
#include <cstdlib>

int
main()
{
    const char *conninfo = std::getenv("LATCHKEY_POSTGRES");
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    options.schema = "latchkey_consumer_cpp";
    options.create = true;
    latchkey::database memory, server;
    latchkey::result result;
    bool well = conninfo != nullptr && latchkey::database::open_memory(memory) == LK_OK &&
                memory.set(latchkey::item("user", "name", "Ada")) == LK_OK &&
                latchkey::database::open_postgres(server, conninfo, &options) == LK_OK &&
                latchkey::copy(memory, server) == LK_OK;
    server.close();
    well = well && latchkey::database::open_postgres(server, conninfo, &options) == LK_OK &&
           server.get(latchkey::key("user", "name"), result) == LK_OK &&
           latchkey::view(result[0]->data) == "Ada";
    server.close();
    std::puts(well ? "ok" : "not stored");
    return well ? 0 : 1;
}
