// SPDX-License-Identifier: MIT
//
// The same through the interface of C++: a copy that is there after a restart.
#include <latchkey/latchkey.hpp>

#include <cstdio>
#include <filesystem>
#include <string>

#include <stdlib.h>

int
main()
{
    std::string folder = "/tmp/latchkey-consumer-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr)
        return 1;
    latchkey::database memory, disk;
    latchkey::result result;
    bool well = latchkey::database::open_memory(memory) == LK_OK &&
                memory.set(latchkey::item("user", "name", "Ada")) == LK_OK &&
                latchkey::database::open_lmdb(disk, folder.c_str()) == LK_OK &&
                latchkey::copy(memory, disk) == LK_OK;
    disk.close();
    well = well && latchkey::database::open_lmdb(disk, folder.c_str()) == LK_OK &&
           disk.get(latchkey::key("user", "name"), result) == LK_OK &&
           latchkey::view(result[0]->data) == "Ada";
    disk.close();
    std::filesystem::remove_all(folder);
    std::puts(well ? "ok" : "not stored");
    return well ? 0 : 1;
}
