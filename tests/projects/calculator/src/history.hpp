#pragma once
#include <string>
#include <utility>
#include <vector>

class History {
public:
    void add(std::string expression, double value);
    double sum() const;
    const std::vector<std::pair<std::string, double>> &entries() const { return entries_; }

private:
    std::vector<std::pair<std::string, double>> entries_;
};
