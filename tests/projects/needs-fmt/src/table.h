#pragma once

#include <string>
#include <vector>

struct Row {
    std::string name;
    long value;
};

// Returns the rows as a table, one line for each.
std::string table(const std::vector<Row>& rows);
