pub struct Account {
    pub name: String,
    entries: Vec<i64>,
}

impl Account {
    pub fn new(name: &str) -> Self {
        Account { name: name.to_string(), entries: Vec::new() }
    }

    pub fn add(&mut self, amount: i64) {
        self.entries.push(amount);
    }

    pub fn balance(&self) -> i64 {
        self.entries.iter().sum()
    }
}
