package shared

const Greeting = "hello"
