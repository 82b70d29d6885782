mod account;

fn main() {
    let mut account = account::Account::new("petty cash");
    account.add(12);
    println!("{} {}", account.name, account.balance());
}
