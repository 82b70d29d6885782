package org.example;

public class Greeter {
    public static void main(String[] arguments) {
        System.out.println(new Greeter().greeting("world"));
    }

    String greeting(String name) {
        return "hello " + name;
    }
}
